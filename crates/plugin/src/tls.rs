//! Automatic mTLS as go-plugin does it: a certificate made at start, and one client that may come in.
//!
//! Terraform's certificate is self-signed, ECDSA P-521 and a CA, which no ordinary verifier accepts for a client. The
//! verifier here compares the certificate with the one that Terraform announced, byte for byte, and leaves the proof that
//! the client holds its key to rustls.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName as Name, ServerConfig,
    SignatureScheme,
};

use super::crypto;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate that Terraform announced is none.
    #[error("PLUGIN_CLIENT_CERT holds no certificate: {0}")]
    ClientCertificate(#[from] rustls::pki_types::pem::Error),
    /// The plugin's own certificate could not be made.
    #[error("the certificate of the plugin could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// rustls refused the configuration.
    #[error("TLS could not be set up: {0}")]
    Config(#[from] rustls::Error),
}

/// The server's side of automatic mTLS.
#[derive(Debug)]
pub struct MutualTls {
    /// What connections are accepted with.
    pub config: Arc<ServerConfig>,
    /// The plugin's certificate (DER), for the handshake line.
    pub certificate: Vec<u8>,
}

/// Lets in only the holder of one certificate.
#[derive(Debug)]
struct PinnedClient {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for PinnedClient {
    fn root_hint_subjects(&self) -> &[Name] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn own_certificate() -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), rcgen::Error>
{
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "localhost");
    name.push(DnType::OrganizationName, "HashiCorp");
    params.distinguished_name = name;
    // Terraform puts the certificate into a pool of roots, so it must be a CA that may sign.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyAgreement,
        KeyUsagePurpose::KeyCertSign,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.self_signed(&key)?;
    Ok((
        certificate.der().clone(),
        PrivatePkcs8KeyDer::from(key.serialize_der()),
    ))
}

impl MutualTls {
    /// A fresh certificate, and a door for the holder of `client_certificate` (PEM).
    ///
    /// # Errors
    /// When the client's certificate is none.
    pub fn new(client_certificate: &str) -> Result<Self, TlsError> {
        let provider = Arc::new(crypto::provider());
        let client = PinnedClient {
            certificate: CertificateDer::from_pem_slice(client_certificate.as_bytes())?,
            algorithms: provider.signature_verification_algorithms,
        };
        let (certificate, key) = own_certificate()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(Arc::new(client))
            .with_single_cert(vec![certificate.clone()], key.into())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            certificate: certificate.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who did not start the plugin has another certificate, however well it is made.
    #[test]
    fn nobody_but_the_announced_client_gets_in() -> Result<(), Box<dyn std::error::Error>> {
        let provider = crypto::provider();
        let (own, _) = own_certificate()?;
        let (other, _) = own_certificate()?;
        let client = PinnedClient {
            certificate: own.clone(),
            algorithms: provider.signature_verification_algorithms,
        };
        let now = UnixTime::now();
        assert!(client.verify_client_cert(&own, &[], now).is_ok());
        assert!(client.verify_client_cert(&other, &[], now).is_err());
        assert!(client.client_auth_mandatory());
        assert!(MutualTls::new("no certificate").is_err());
        Ok(())
    }
}
