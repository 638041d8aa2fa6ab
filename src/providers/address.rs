//! Where a key may be sent: https anywhere, http only to this machine.

use bytes::Bytes;
use hyper::{
    Uri,
    http::uri::{Authority, Parts, PathAndQuery, Scheme},
};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// A provider's address, checked: the only form in which one is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Without a slash at its end.
    text: String,
    origin: String,
    is_loopback: bool,
    is_https: bool,
    /// Host and port, as a request names them.
    authority: Authority,
    /// Without a slash at its end, and empty where nothing is left.
    path: String,
}

/// Why a text cannot be a provider's address; never says what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("must be an address such as https://api.example.com/v1")]
    NotAnAddress,
    /// Neither https nor this machine.
    #[error("must begin with https, or name this machine (localhost, 127.0.0.1 or [::1])")]
    Insecure,
    #[error("must not hold a user name or password")]
    Credentials,
    #[error("must not hold a query or fragment")]
    Query,
}

impl Address {
    /// The address that `text` spells.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::NotAnAddress)?;
        let host = url.host().ok_or(AddressError::NotAnAddress)?;
        let is_loopback = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let is_https = match (url.scheme(), is_loopback) {
            ("https", _) => true,
            ("http", true) => false,
            _ => return Err(AddressError::Insecure),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Query);
        }
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self {
            authority: authority.parse().map_err(|_| AddressError::NotAnAddress)?,
            path: url.path().trim_end_matches('/').to_owned(),
            text: url.as_str().trim_end_matches('/').to_owned(),
            origin: url.origin().ascii_serialization(),
            is_loopback,
            is_https,
        })
    }

    /// The address as it was written, but for slashes at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and, where it is not the usual one, port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it is on this machine, by its literal address or the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// The address of `path`, which may have a query, below `base` on this host, where `base` takes the place of `end` if
    /// the address ends so; none where it is no such path.
    ///
    /// Scheme, host and port are those of this address whatever `path` says.
    pub(super) fn beside(&self, end: &str, base: &str, path: &str) -> Option<Uri> {
        let (segments, _) = path.split_once('?').unwrap_or((path, ""));
        let is_rooted = segments.is_empty() || segments.starts_with('/');
        // A fragment would be cut off, and some servers take a backslash for a slash.
        if !is_rooted || path.contains('#') || segments.contains('\\') || segments.split('/').any(climbs) {
            return None;
        }
        let start = self.path.strip_suffix(end).unwrap_or(&self.path);
        let mut path = [start, base, path].concat();
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        let mut parts = Parts::default();
        parts.scheme = Some(if self.is_https { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(path)).ok()?);
        Uri::from_parts(parts).ok()
    }
}

/// Whether a segment of a path leads up, or nowhere, once it is decoded.
fn climbs(segment: &str) -> bool {
    // The longest way to write two dots.
    if segment.len() > "%2e%2e".len() {
        return false;
    }
    let decoded = percent_decode_str(segment);
    decoded.clone().eq(*b".") || decoded.eq(*b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_over_https_or_stays_on_this_machine() {
        for (text, origin, is_loopback) in [
            ("https://api.anthropic.com", "https://api.anthropic.com", false),
            ("https://api.openai.com/v1/", "https://api.openai.com", false),
            ("https://api.example.com:8443/v1", "https://api.example.com:8443", false),
            ("http://127.0.0.1:11434", "http://127.0.0.1:11434", true),
            ("http://127.9.9.9/v1", "http://127.9.9.9", true),
            ("http://localhost:8000/v1", "http://localhost:8000", true),
            ("http://LOCALHOST:8000/v1", "http://localhost:8000", true),
            ("http://[::1]:8000", "http://[::1]:8000", true),
            ("https://localhost", "https://localhost", true),
            // How URLs are defined: a host of numbers is an IPv4 address.
            ("http://127.1", "http://127.0.0.1", true),
            ("http://2130706433", "http://127.0.0.1", true),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(
                (address.origin(), address.is_loopback()),
                (origin, is_loopback),
                "{text}"
            );
            assert!(!address.as_str().ends_with('/'), "{text}");
        }
    }

    #[test]
    fn a_request_goes_below_the_address_and_nowhere_else() {
        for (text, base, path, expected) in [
            (
                "https://api.openai.com/v1/",
                "",
                "/models",
                "https://api.openai.com/v1/models",
            ),
            (
                "http://127.1:80",
                "/v1",
                "/a?b=c/../d",
                "http://127.0.0.1/v1/a?b=c/../d",
            ),
            ("http://[::1]:8000", "", "/x", "http://[::1]:8000/x"),
            ("http://LOCALHOST:8000/", "", "", "http://localhost:8000/"),
            ("http://localhost:8000/v1", "", "?a=b", "http://localhost:8000/v1?a=b"),
            ("http://localhost:8000", "", "?a=b", "http://localhost:8000/?a=b"),
            (
                "https://api.example.com",
                "",
                "//evil.example/x",
                "https://api.example.com//evil.example/x",
            ),
            (
                "https://api.example.com",
                "",
                "/@evil.example/a..b/...",
                "https://api.example.com/@evil.example/a..b/...",
            ),
        ] {
            let address = Address::parse(text).expect(text);
            let uri = address.beside("", base, path).expect(path);
            assert_eq!(uri.to_string(), expected);
            assert_eq!(
                Url::parse(expected).expect("good").origin().ascii_serialization(),
                address.origin()
            );
        }
        let address = Address::parse("https://api.example.com/v1").expect("good");
        for path in [
            "@evil.example/",
            ".evil.example/",
            ":444/",
            "/a/../b",
            "/..",
            "/%2e%2E/b",
            "/.%2e/b",
            "/./b",
            "/%2e",
            "/a\\b",
            "/a#b",
            "/a b",
            "/a\r\nb: c",
            "/\u{7f}",
            "*",
        ] {
            assert_eq!(address.beside("", "", path), None, "{path:?}");
        }
    }

    #[test]
    fn every_other_address_is_refused_with_the_reason() {
        for (text, why) in [
            ("", AddressError::NotAnAddress),
            ("api.openai.com", AddressError::NotAnAddress),
            ("data:text/plain,x", AddressError::NotAnAddress),
            ("http://api.openai.com/v1", AddressError::Insecure),
            ("http://10.0.0.1", AddressError::Insecure),
            ("http://0.0.0.0:8000", AddressError::Insecure),
            ("http://localhost.example.com", AddressError::Insecure),
            ("http://127.0.0.1.example.com", AddressError::Insecure),
            ("http://localhost.", AddressError::Insecure),
            ("http://[::ffff:127.0.0.1]", AddressError::Insecure),
            ("ftp://localhost", AddressError::Insecure),
            ("https://user@api.openai.com", AddressError::Credentials),
            ("https://user:word@api.openai.com", AddressError::Credentials),
            ("http://localhost@api.openai.com", AddressError::Insecure),
            ("https://api.openai.com/v1?key=x", AddressError::Query),
            ("https://api.openai.com/v1#x", AddressError::Query),
        ] {
            assert_eq!(Address::parse(text), Err(why), "{text}");
        }
    }
}
