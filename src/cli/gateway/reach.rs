//! Whether a gateway of ours answers at an address.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    domain::Secret,
    error::{Code, Error, Result},
};

/// How long a gateway may take to say that it is there.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Fails unless a gateway answers at `address`.
pub(in crate::cli) fn expect_gateway(address: SocketAddr) -> Result<()> {
    expect_ok(address, "/healthz", None)
}

/// Fails unless the gateway at `address` knows `key`: then it uses the same files as this command.
pub(in crate::cli) fn expect_key(address: SocketAddr, key: &Secret) -> Result<()> {
    expect_ok(address, "/v1/models", Some(key))
}

/// Fails unless what answers there is a gateway.
fn expect_ok(address: SocketAddr, path: &str, key: Option<&Secret>) -> Result<()> {
    let no_gateway = |message: String| {
        Error::new(Code::AddressUnavailable, message)
            .hint("`api-keys gateway` starts one; plain `--gateway` runs a private one for this command")
    };
    match status(address, path, key) {
        Ok(200) => Ok(()),
        Ok(401) if key.is_some() => Err(no_gateway(format!(
            "the gateway at {address} uses other files than this command"
        ))),
        Ok(_) => Err(no_gateway(format!("the server at {address} is not a gateway"))),
        Err(why) => Err(no_gateway(format!("no gateway at {address}")).caused_by(why)),
    }
}

/// The status of the answer there.
fn status(address: SocketAddr, path: &str, key: Option<&Secret>) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, START_TIMEOUT)?;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    if let Some(key) = key {
        // EXPOSE: shown to the gateway that the user named, to check that it knows it
        request.extend(["authorization: Bearer ", key.expose(), "\r\n"]);
    }
    request.push_str("\r\n");
    let request = zeroize::Zeroizing::new(request);
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head)
        .ok()
        .and_then(|head| head.strip_prefix("HTTP/1.1 ")?.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
