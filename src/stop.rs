//! A flag that ends long work early, shared between the caller and the threads that work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A cloneable stop flag; every clone is the same flag. Once set it stays set.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an early end. May be called from any thread, any number of times.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether an early end was asked for.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
