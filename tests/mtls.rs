//! Only the client that holds the certificate of PLUGIN_CLIENT_CERT gets in.

#![cfg(unix)]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

struct Client {
    certificate: CertificateDer<'static>,
    pem: String,
    key: PrivatePkcs8KeyDer<'static>,
}

/// A certificate such as Terraform makes one: self-signed, P-521, a CA.
fn client() -> Client {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let der = certificate.der().clone();
    let body = base64::engine::general_purpose::STANDARD.encode(&der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    );
    Client {
        certificate: der,
        pem,
        key: PrivatePkcs8KeyDer::from(key.serialize_der()),
    }
}

struct Plugin {
    child: Child,
    socket: String,
    certificate: CertificateDer<'static>,
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plugin(trusted: &Client) -> Plugin {
    let mut child = Command::new(env!("CARGO_BIN_EXE_terraform-provider-dbxcmk"))
        .env(
            "TF_PLUGIN_MAGIC_COOKIE",
            "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
        )
        .env("PLUGIN_PROTOCOL_VERSIONS", "6")
        .env("PLUGIN_CLIENT_CERT", &trusted.pem)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let fields: Vec<&str> = line.trim().split('|').collect();
    let certificate = STANDARD_NO_PAD.decode(fields[5]).unwrap();
    Plugin {
        child,
        socket: fields[3].to_owned(),
        certificate: certificate.into(),
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Trusts the certificate of the handshake line, as Terraform does. (Ordinary verifiers take no CA for a server.)
#[derive(Debug)]
struct Announced(CertificateDer<'static>);

impl ServerCertVerifier for Announced {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        assert_eq!(
            end_entity, &self.0,
            "the plugin shows the certificate that it announced"
        );
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Shows a certificate whether or not the key belongs to it.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whether the plugin answers an HTTP/2 preface from a client with this certificate.
fn gets_in(plugin: &Plugin, identity: Option<&Client>) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Announced(plugin.certificate.clone())));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let key = aws_lc_rs::sign::any_supported_type(&client.key.clone_key().into()).unwrap();
            let shown = CertifiedKey::new(vec![client.certificate.clone()], key);
            builder.with_client_cert_resolver(Arc::new(Shows(Arc::new(shown))))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap())
            .unwrap();
    let stream = UnixStream::connect(&plugin.socket).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    if stream
        .write_all(PREFACE)
        .and_then(|()| stream.flush())
        .is_err()
    {
        return false;
    }
    let mut frame = [0_u8; 9];
    // A SETTINGS frame has the type 4.
    stream.read_exact(&mut frame).is_ok() && frame.get(3) == Some(&4)
}

#[test]
fn only_the_holder_of_the_announced_certificate_gets_in() {
    let (terraform, stranger) = (client(), client());
    let plugin = plugin(&terraform);
    assert!(!gets_in(&plugin, None), "without a certificate");
    assert!(
        !gets_in(&plugin, Some(&stranger)),
        "with another certificate"
    );
    let thief = Client {
        certificate: terraform.certificate.clone(),
        pem: String::new(),
        key: stranger.key.clone_key(),
    };
    assert!(
        !gets_in(&plugin, Some(&thief)),
        "with the certificate, but without its key"
    );
    assert!(
        gets_in(&plugin, Some(&terraform)),
        "with the certificate and its key"
    );
}

#[test]
fn plain_text_gets_nothing_and_holds_up_nobody() {
    let terraform = client();
    let plugin = plugin(&terraform);
    let mut plain = UnixStream::connect(&plugin.socket).unwrap();
    plain
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    plain.write_all(PREFACE).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    // At most a TLS alert (record type 21): never HTTP/2.
    assert!(
        answer.is_empty() || answer.first() == Some(&21),
        "{answer:?}"
    );
    let _silent = UnixStream::connect(&plugin.socket).unwrap();
    assert!(
        gets_in(&plugin, Some(&terraform)),
        "others do not wait for a client that says nothing"
    );
}

#[test]
fn a_certificate_that_is_none_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_terraform-provider-dbxcmk"))
        .env(
            "TF_PLUGIN_MAGIC_COOKIE",
            "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
        )
        .env("PLUGIN_CLIENT_CERT", "nope")
        .output()
        .unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("PLUGIN_CLIENT_CERT"));
}
