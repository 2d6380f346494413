//! Opening connections: to carriers, PBXes and phones that listen.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tandem_model::clock;
use tandem_sip::{Flow, Transport};
use tokio::net::TcpStream;

use super::connection::{Line, OpenedBy};
use super::listen::prepare;
use super::{Place, tls};
use crate::shard::Shard;

/// Peers' names kept at once.
const MAX_NAMES: usize = 4_096;

impl Shard {
    /// Enters a connection to be and begins to open it; what is sent meanwhile waits in its queue.
    pub(super) fn open_stream(self: &Rc<Self>, flow: Flow) -> Result<(), &'static str> {
        let name = match flow.transport {
            Transport::Tcp if self.streams.tcp.is_some() => None,
            Transport::Tls if self.streams.tls.is_some() => {
                let names = self.streams.names.borrow();
                Some(names.get(&flow.remote).cloned().unwrap_or_else(|| flow.remote.ip().to_string().into()))
            }
            _ => return Err("this transport is switched off"),
        };
        let place = Place::take(self, None).ok_or("as many connections are open as may be")?;
        let certificate = name.as_ref().map(|_| tls::PeerCertificate::default());
        let line = Line::enter(self, place, flow, certificate.clone());
        self.tasks.spawn_local(open(line, name.zip(certificate)));
        Ok(())
    }

    /// Whether it is known which name a TLS peer at this address has to prove.
    pub(crate) fn knows_name(&self, remote: SocketAddr) -> bool {
        self.streams.names.borrow().contains_key(&remote)
    }

    /// From now on a TLS peer at this address has to prove this name. A connection that is open keeps its use only if
    /// its certificate is good for the name as well; `false` if it is not.
    pub(crate) fn expect_name(&self, remote: SocketAddr, name: &str) -> bool {
        let proven = self.streams.names.borrow().get(&remote).is_some_and(|known| **known == *name);
        if proven {
            return true;
        }
        let flow = self.flow_over(Transport::Tls, remote);
        let connections = self.streams.connections.borrow();
        let open = flow.and_then(|flow| connections.get(&flow)?.certificate.clone());
        if open.is_some_and(|certificate| !certificate.is_good_for(name)) {
            return false;
        }
        let mut names = self.streams.names.borrow_mut();
        if names.len() >= MAX_NAMES {
            // Those still wanted are asked for again with the next request.
            names.clear();
        }
        names.insert(remote, name.into());
        true
    }
}

async fn open(line: Line, prove: Option<(Rc<str>, tls::PeerCertificate)>) {
    let (shard, flow) = (Rc::clone(&line.shard), line.flow);
    let attempt = async {
        let stream = TcpStream::connect(flow.remote).await?;
        prepare(&stream);
        let Some((name, certificate)) = prove else { return Ok(Opened::Plain(stream)) };
        let tls = shard.streams.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let stream = tls.connect(&name, stream).await?;
        certificate.keep(&stream);
        Ok::<_, io::Error>(Opened::Tls(Box::new(stream)))
    };
    let opened = tokio::select! {
        opened = tokio::time::timeout(shard.config.timing.connect, attempt) => opened,
        () = line.close.cancelled() => return line.over(),
    };
    match opened {
        Ok(Ok(Opened::Plain(stream))) => line.carry(stream, OpenedBy::Us).await,
        Ok(Ok(Opened::Tls(stream))) => line.carry(*stream, OpenedBy::Us).await,
        Ok(Err(error)) => {
            tracing::info!(remote = %flow.remote, transport = ?flow.transport, %error, "a connection could not be opened");
            shard.streams.remember_refusal(flow.remote, clock::monotonic());
            line.over();
        }
        Err(_) => {
            tracing::info!(remote = %flow.remote, transport = ?flow.transport, "a connection was not answered in time");
            shard.streams.remember_refusal(flow.remote, clock::monotonic());
            line.over();
        }
    }
}

enum Opened {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}
