//! Where Terraform connects: a private Unix socket, or a TCP port on the loopback where there are none; and the accepted
//! connections as tonic wants them.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use super::handshake::{Address, Environment};

/// The time limit of a client's TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest path that a Unix socket may have on the systems that Terraform runs on (104 on macOS, 108 on Linux).
#[cfg(unix)]
const LONGEST_SOCKET_PATH: usize = 103;

/// A listener; its socket goes away with it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    /// Removes the directory of the socket.
    _directory: Option<tempfile::TempDir>,
}

#[derive(Debug)]
enum Socket {
    #[cfg(unix)]
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Why there is nowhere to listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket could not be made.
    #[error("no socket could be made in {}: {source}", directory.display())]
    Socket {
        /// The directory in which the listener wanted its socket.
        directory: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The group of PLUGIN_UNIX_SOCKET_GROUP does not exist.
    #[error("PLUGIN_UNIX_SOCKET_GROUP names the group `{0}`, which does not exist here")]
    Group(String),
    /// No port of the range is free.
    #[error("no TCP port from {0} to {1} is free")]
    Ports(u16, u16),
}

impl Listener {
    /// Listens as Terraform asked.
    ///
    /// # Errors
    /// When no socket can be made there.
    pub async fn bind(environment: &Environment) -> Result<Self, ListenError> {
        #[cfg(unix)]
        {
            Self::bind_unix(environment)
        }
        #[cfg(not(unix))]
        {
            let (least, most) = environment.ports.unwrap_or((10_000, 25_000));
            Self::bind_tcp(least, most).await
        }
    }

    /// Listens on the first free port of a range, on the loopback only.
    ///
    /// # Errors
    /// When none is free.
    pub async fn bind_tcp(least: u16, most: u16) -> Result<Self, ListenError> {
        for port in least..=most {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
                && let Ok(address) = listener.local_addr()
            {
                return Ok(Self {
                    socket: Socket::Tcp(listener),
                    address: Address::Tcp(address),
                    _directory: None,
                });
            }
        }
        Err(ListenError::Ports(least, most))
    }

    /// A socket in a directory that only its owner, or the given group, can enter.
    #[cfg(unix)]
    fn bind_unix(environment: &Environment) -> Result<Self, ListenError> {
        use std::os::unix::fs::{PermissionsExt, chown};

        let parent = environment.socket_directory.clone().unwrap_or_else(|| {
            let usual = std::env::temp_dir();
            // A temporary directory with a long name would make a path that no socket can have.
            if usual.as_os_str().len() + 32 > LONGEST_SOCKET_PATH {
                PathBuf::from("/tmp")
            } else {
                usual
            }
        });
        let failed = |source| ListenError::Socket {
            directory: parent.clone(),
            source,
        };
        let group = environment
            .socket_group
            .as_deref()
            .map(group_id)
            .transpose()?;
        let (directory_mode, socket_mode) = if group.is_some() {
            (0o750, 0o660)
        } else {
            (0o700, 0o600)
        };
        let directory = tempfile::Builder::new()
            .prefix("plugin-")
            .tempdir_in(&parent)
            .map_err(failed)?;
        let path = directory.path().join("plugin.sock");
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let mode = |path: &std::path::Path, mode| {
            if group.is_some() {
                chown(path, None, group)?;
            }
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        };
        mode(&path, socket_mode).map_err(failed)?;
        mode(directory.path(), directory_mode).map_err(failed)?;
        Ok(Self {
            socket: Socket::Unix(listener),
            address: Address::Unix(path),
            _directory: Some(directory),
        })
    }

    /// The address that the handshake gives Terraform: a socket's path, or a TCP port.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Accepts connections until the caller drops the stream. A client that fails or dawdles in its TLS handshake delays no
    /// other client and ends nothing.
    pub fn incoming(
        self,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> (Incoming, watch::Receiver<usize>) {
        let (sender, receiver) = mpsc::channel(16);
        let (count, open) = watch::channel(0);
        let acceptor = tls.map(TlsAcceptor::from);
        tokio::spawn(async move {
            // The whole listener moves in here, its directory too: a task that took only the socket would drop the rest.
            let listener = self;
            loop {
                let raw: Box<dyn Duplex> = match &listener.socket {
                    #[cfg(unix)]
                    Socket::Unix(listener) => match listener.accept().await {
                        Ok((stream, _)) => Box::new(stream),
                        Err(error) => {
                            pause_after(&error).await;
                            continue;
                        }
                    },
                    Socket::Tcp(listener) => match listener.accept().await {
                        Ok((stream, _)) => Box::new(stream),
                        Err(error) => {
                            pause_after(&error).await;
                            continue;
                        }
                    },
                };
                if sender.is_closed() {
                    return;
                }
                let (sender, acceptor, count) = (sender.clone(), acceptor.clone(), count.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Duplex> = match acceptor {
                        None => raw,
                        Some(acceptor) => {
                            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(raw))
                                .await
                            {
                                Ok(Ok(stream)) => Box::new(stream),
                                Ok(Err(error)) => {
                                    tracing::warn!(%error, "refused a client that is not the Terraform that started this provider");
                                    return;
                                }
                                Err(_) => {
                                    tracing::warn!(
                                        "refused a client that did not finish its TLS handshake"
                                    );
                                    return;
                                }
                            }
                        }
                    };
                    count.send_modify(|open| *open += 1);
                    let _ = sender.send(Ok(Connection { stream, count })).await;
                });
            }
        });
        (Incoming(receiver), open)
    }
}

/// Accepting fails for a moment when the process is out of file descriptors; a busy loop would not help.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "could not accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[cfg(unix)]
fn group_id(group: &str) -> Result<u32, ListenError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group))
            .then(|| fields.nth(1).and_then(|id| id.parse().ok()))
            .flatten()
    });
    found.ok_or_else(|| ListenError::Group(group.to_owned()))
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// One client's connection; it is counted as long as it lives.
pub struct Connection {
    stream: Box<dyn Duplex>,
    count: watch::Sender<usize>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.count
            .send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The accepted connections.
pub struct Incoming(mpsc::Receiver<io::Result<Connection>>);

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_can_reach_the_socket_and_it_goes_away()
    -> Result<(), Box<dyn std::error::Error>> {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir()?;
        let environment = Environment {
            socket_directory: Some(parent.path().to_owned()),
            ..Environment::default()
        };
        let listener = Listener::bind(&environment).await?;
        let Address::Unix(path) = listener.address().clone() else {
            panic!("a Unix socket")
        };
        assert!(path.starts_with(parent.path()));
        assert_eq!(
            std::fs::metadata(&path)?.permissions().mode() & 0o777,
            0o600
        );
        drop(listener);
        assert!(
            std::fs::read_dir(parent.path())?.next().is_none(),
            "nothing is left behind"
        );
        Ok(())
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_group_gets_the_socket_and_an_unknown_one_is_refused()
    -> Result<(), Box<dyn std::error::Error>> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let parent = tempfile::tempdir()?;
        let own = std::fs::metadata(parent.path())?.gid();
        let with = |group: &str| Environment {
            socket_directory: Some(parent.path().to_owned()),
            socket_group: Some(group.to_owned()),
            ..Environment::default()
        };
        let listener = Listener::bind(&with(&own.to_string())).await?;
        let Address::Unix(path) = listener.address().clone() else {
            panic!("a Unix socket")
        };
        assert_eq!(
            std::fs::metadata(&path)?.permissions().mode() & 0o777,
            0o660
        );
        let error = Listener::bind(&with("no-such-group-here"))
            .await
            .map(|_| ())
            .expect_err("no such group");
        assert!(error.to_string().contains("no-such-group-here"));
        Ok(())
    }

    #[tokio::test]
    async fn tcp_takes_the_next_free_port_of_the_range() -> Result<(), Box<dyn std::error::Error>> {
        let first = Listener::bind_tcp(0, 0).await?;
        let Address::Tcp(taken) = first.address().clone() else {
            panic!("a port")
        };
        let error = Listener::bind_tcp(taken.port(), taken.port())
            .await
            .map(|_| ())
            .expect_err("taken");
        assert!(matches!(error, ListenError::Ports(..)));
        Ok(())
    }
}
