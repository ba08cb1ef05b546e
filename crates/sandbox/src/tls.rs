//! TLS with a certificate of an authority that no system knows, as a proxy inside a company has it.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The authority, and what it certifies: this very machine, and a name that only a test's own proxy knows.
pub struct Authority {
    /// Its own certificate, as PEM.
    pub certificate: String,
    /// What accepts connections with a certificate of its making.
    pub acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When there is no cryptography on this machine.
    pub fn new() -> std::io::Result<Self> {
        let failed = |error: rcgen::Error| std::io::Error::other(error);
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        // OpenSSL takes two certificates of one name for one that signed itself, and newer ones ask for the uses of the keys.
        params
            .distinguished_name
            .push(DnType::CommonName, "Sandbox authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let authority = params.self_signed(&key).map_err(failed)?;
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().map_err(failed)?;
        let mut own = CertificateParams::new(vec![
            "127.0.0.1".to_owned(),
            "localhost".to_owned(),
            "*.sandbox.test".to_owned(),
        ])
        .map_err(failed)?;
        own.distinguished_name.push(DnType::CommonName, "Sandbox");
        own.use_authority_key_identifier_extension = true;
        own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let own = own.signed_by(&own_key, &issuer).map_err(failed)?;
        let private =
            PrivateKeyDer::try_from(own_key.serialize_der()).map_err(std::io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], private)
            .map_err(std::io::Error::other)?;
        Ok(Self {
            certificate: authority.pem(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}
