//! A network in memory that replaces the real one: for simulations alone.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Request, Response};
use tfplugin::Boxed;

use super::http::{Failure, Http, Loss, Wire};

#[derive(Clone)]
struct Network {
    writer: Client,
    wire: Arc<dyn Wire>,
}

thread_local! {
    static NETWORK: RefCell<Option<Network>> = const { RefCell::new(None) };
}

/// From now on, whatever this thread sends goes over this wire; `None`: over the real one.
///
/// # Errors
/// When requests cannot be written on this machine.
pub fn connect(wire: Option<Arc<dyn Wire>>) -> Result<(), Failure> {
    let network = match wire {
        None => None,
        Some(wire) => {
            let before = NETWORK.with(|own| own.borrow().clone());
            let writer = match before {
                Some(before) => before.writer,
                // It writes requests and sends none, so that it needs no certificates.
                None => Client::builder()
                    .no_proxy()
                    .tls_certs_only(std::iter::empty())
                    .build()?,
            };
            Some(Network { writer, wire })
        }
    };
    NETWORK.with(|own| *own.borrow_mut() = network);
    Ok(())
}

/// The wire of this thread, if it has one of its own.
pub(crate) fn wire() -> Option<Arc<dyn Wire>> {
    NETWORK.with(|own| own.borrow().as_ref().map(|own| Arc::clone(&own.wire)))
}

/// A client over that wire.
pub(super) fn http(timeout: Duration) -> Option<Http> {
    let network = NETWORK.with(|own| own.borrow().clone())?;
    let bounded = Bounded {
        wire: network.wire,
        timeout,
    };
    Some(Http::over(network.writer, Arc::new(bounded)))
}

/// A wire whose answers come in time or not at all, as `reqwest` itself sees to it over a real one.
#[derive(Debug)]
struct Bounded {
    wire: Arc<dyn Wire>,
    timeout: Duration,
}

impl Wire for Bounded {
    fn carry(&self, request: Request) -> Boxed<'_, Result<Response, Failure>> {
        let timeout = request.timeout().copied().unwrap_or(self.timeout);
        let url = request.url().clone();
        let answer = self.wire.carry(request);
        Box::pin(async move {
            let answer = tokio::time::timeout(timeout, answer).await;
            answer.unwrap_or_else(|_| Err(Failure::of(Loss::Late, url)))
        })
    }
}
