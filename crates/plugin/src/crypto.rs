//! The cryptography of mutual TLS: aws-lc-rs, or *ring* where only that is asked for.
//!
//! Terraform signs with the curve P-521. *ring* cannot verify that, so `p521` does it there, for the proof that the client holds its
//! key and for nothing else.

use rustls::crypto::CryptoProvider;

#[cfg(not(any(feature = "aws_lc_rs", feature = "ring")))]
compile_error!("tfplugin needs one of its features `aws_lc_rs` (the default) and `ring`");

#[cfg(feature = "aws_lc_rs")]
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "aws_lc_rs")))]
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        signature_verification_algorithms: ring_and_p521::algorithms(),
        ..rustls::crypto::ring::default_provider()
    }
}

#[cfg(all(feature = "ring", not(feature = "aws_lc_rs")))]
mod ring_and_p521 {
    use std::sync::LazyLock;

    use p521::ecdsa::signature::Verifier;
    use p521::ecdsa::{DerSignature, VerifyingKey};
    use rustls::SignatureScheme;
    use rustls::crypto::WebPkiSupportedAlgorithms;
    use rustls::pki_types::{
        AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
    };

    type Algorithm = &'static dyn SignatureVerificationAlgorithm;

    /// ECDSA on P-521 with SHA-512, the one combination with this curve that TLS 1.3 has (RFC 8446, 4.2.3).
    #[derive(Debug)]
    struct P521;

    impl SignatureVerificationAlgorithm for P521 {
        fn verify_signature(
            &self,
            public_key: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
            let signature = DerSignature::from_bytes(signature).map_err(|_| InvalidSignature)?;
            key.verify(message, &signature)
                .map_err(|_| InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_P521
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_SHA512
        }
    }

    /// What *ring* verifies, and P-521.
    pub(super) fn algorithms() -> WebPkiSupportedAlgorithms {
        static ALL: LazyLock<Vec<Algorithm>> = LazyLock::new(|| {
            let mut all = rings().all.to_vec();
            all.push(&P521);
            all
        });
        static MAPPING: LazyLock<Vec<(SignatureScheme, &'static [Algorithm])>> =
            LazyLock::new(|| {
                let mut mapping = rings().mapping.to_vec();
                mapping.push((SignatureScheme::ECDSA_NISTP521_SHA512, &[&P521]));
                mapping
            });
        WebPkiSupportedAlgorithms {
            all: &ALL,
            mapping: &MAPPING,
        }
    }

    fn rings() -> WebPkiSupportedAlgorithms {
        rustls::crypto::ring::default_provider().signature_verification_algorithms
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use p521::ecdsa::SigningKey;
        use p521::ecdsa::signature::Signer;

        #[test]
        fn a_signature_on_p521_is_verified() -> Result<(), Box<dyn std::error::Error>> {
            let signing_key = |last: u8| SigningKey::from_slice(&[&[1; 65][..], &[last]].concat());
            let key = signing_key(1)?;
            let point = key.verifying_key().to_sec1_point(false);
            let signature: DerSignature = key.sign(b"message");
            let verify = |key: &[u8], message: &[u8], signature: &[u8]| {
                P521.verify_signature(key, message, signature)
            };
            let (point, signature) = (point.as_bytes(), signature.as_bytes());
            assert!(verify(point, b"message", signature).is_ok());
            assert!(verify(point, b"another", signature).is_err());
            let other = signing_key(2)?.verifying_key().to_sec1_point(false);
            assert!(verify(other.as_bytes(), b"message", signature).is_err());
            assert!(verify(b"no key", b"message", signature).is_err());
            assert!(verify(point, b"message", b"no signature").is_err());
            Ok(())
        }

        #[test]
        fn p521_is_offered_beside_what_ring_has() {
            let schemes = algorithms().supported_schemes();
            assert!(schemes.contains(&SignatureScheme::ECDSA_NISTP521_SHA512));
            assert!(schemes.contains(&SignatureScheme::ECDSA_NISTP256_SHA256));
        }
    }
}
