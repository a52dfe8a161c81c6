//! Waits that end.

use std::future::Future;
use std::time::Duration;

/// Runs `future` on this thread for at most `limit`; `None` when that was not enough.
pub(crate) fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    async_io::block_on(futures_lite::future::or(
        async { Some(future.await) },
        async {
            async_io::Timer::after(limit).await;
            None
        },
    ))
}
