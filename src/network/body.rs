//! The body of an answer, no longer than any honest one.

use reqwest::Response;

use super::Failure;

/// The longest body that is read, in bytes: a list of some ten thousand workspaces has less. What is longer comes from something that is
/// not the service, and would fill the memory.
pub const LONGEST: usize = 64 * 1024 * 1024;

/// Why there is no body.
#[derive(Debug)]
pub enum NoBody {
    /// The connection broke.
    Broken(Failure),
    /// The body is longer than the caller accepts.
    TooLong,
}

impl NoBody {
    /// What to say of one that is too long.
    pub const TOO_LONG: &str = "the answer has more than 64 MiB, which no service sends";

    /// Why there is no body, without anything that was sent.
    pub fn plain(&self) -> String {
        match self {
            Self::Broken(error) => super::plain(error),
            Self::TooLong => Self::TOO_LONG.to_owned(),
        }
    }
}

/// The body of an answer as text.
///
/// # Errors
/// When the connection breaks, or the body is longer than any service sends.
pub async fn body(response: Response) -> Result<String, NoBody> {
    no_longer_than(LONGEST, response).await
}

async fn no_longer_than(longest: usize, mut response: Response) -> Result<String, NoBody> {
    let mut all = Vec::new();
    while let Some(part) = response
        .chunk()
        .await
        .map_err(|error| NoBody::Broken(error.into()))?
    {
        if all.len() + part.len() > longest {
            return Err(NoBody::TooLong);
        }
        all.extend_from_slice(&part);
    }
    Ok(String::from_utf8(all)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A server whose answer has no end.
///
/// # Panics
/// When there is no port.
#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test")]
pub async fn endless() -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
    });
    format!("http://{address}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_without_an_end_ends() {
        let url = endless().await;
        let client = super::super::client(&[]).expect("a client");
        let answer = client.send(client.get(url)).await.expect("an answer");
        let read = no_longer_than(1 << 20, answer).await;
        assert!(matches!(read, Err(NoBody::TooLong)));
    }
}
