//! Futures in trait objects.

use std::future::Future;
use std::pin::Pin;

/// A future that can be kept in a trait object.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
