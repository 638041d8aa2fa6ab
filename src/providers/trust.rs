//! The certificates that are trusted besides the system's: a company's own, by the variable that Node.js programs read.

use std::path::PathBuf;

use rustls::pki_types::{CertificateDer, pem::PemObject};

/// Longer than any file of certificates, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The file of certificates that `NODE_EXTRA_CA_CERTS` names, if it is set; read when a connection is first made.
#[derive(Debug, Clone, Default)]
pub struct ExtraCertificates(Option<PathBuf>);

impl ExtraCertificates {
    pub fn of_file(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// What can be read of it; as in node, a file that cannot be read is a warning.
    pub(super) fn read(&self) -> Vec<CertificateDer<'static>> {
        let Some(path) = &self.0 else {
            return Vec::new();
        };
        let is_short = std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_FILE_BYTES);
        let bytes = is_short.then(|| std::fs::read(path).ok()).flatten();
        let certificates: Vec<_> = bytes
            .iter()
            .flat_map(|bytes| CertificateDer::pem_slice_iter(bytes))
            .filter_map(Result::ok)
            .collect();
        if certificates.is_empty() {
            tracing::warn!("the file that NODE_EXTRA_CA_CERTS names holds no certificates that can be read");
        }
        certificates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_from_a_file_and_a_missing_one_is_none() {
        let read = |path: Option<&str>| ExtraCertificates::of_file(path.map(PathBuf::from)).read().len();
        assert_eq!(read(None), 0);
        assert_eq!(read(Some("/nonexistent/ca.pem")), 0);
        assert_eq!(read(Some("/dev/zero")), 0);
    }
}
