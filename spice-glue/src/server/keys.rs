//! A key for each link.
//!
//! The protocol has the client encrypt its ticket to an RSA-1024 key that the server shows
//! in its reply. A key here serves one link and decrypts once. That is cheap protection of
//! old recordings, and it answers the timing side channel of the `rsa` crate's decryption
//! (RUSTSEC-2023-0071): the attack needs many decryptions with one key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rsa::pkcs8::EncodePublicKey;
use rsa::rand_core::OsRng;
use rsa::{Oaep, RsaPrivateKey};
use sha1::Sha1;
use tokio::sync::{Mutex, mpsc};
use zeroize::Zeroizing;

use crate::wire::link::{PUBLIC_KEY_LEN, TICKET_LEN};

const BITS: usize = 1024;
/// Four clients that open their usual four channels at once need not wait.
const POOL: usize = 16;
/// What a thread gives up in priority: keys are made while encoders run.
const NICE: i32 = 10;

/// A key that has not been used.
pub(super) struct LinkKey {
    private: RsaPrivateKey,
    public: [u8; PUBLIC_KEY_LEN],
}

impl LinkKey {
    /// Takes some 20 to 200 ms.
    fn generate() -> Option<Self> {
        // The second number can only be needed if the first one's encoding is shorter,
        // which a modulus with its top bit set rules out.
        (0..4).find_map(|_| {
            let private = RsaPrivateKey::new(&mut OsRng, BITS).ok()?;
            let der = private.to_public_key().to_public_key_der().ok()?;
            let public = der.as_bytes().try_into().ok()?;
            Some(Self { private, public })
        })
    }

    /// What the reply shows.
    pub(super) fn public(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.public
    }

    /// What the ticket holds, or `None` if it is not encrypted to this key. Takes about a
    /// millisecond. Consumes the key: see the module's head.
    pub(super) fn decrypt(self, ticket: &[u8; TICKET_LEN]) -> Option<Zeroizing<Vec<u8>>> {
        self.private
            .decrypt_blinded(&mut OsRng, Oaep::new::<Sha1>(), ticket)
            .ok()
            .map(Zeroizing::new)
    }
}

/// Keys made in advance by a thread that sleeps while there are enough.
#[derive(Clone)]
pub(super) struct KeyPool {
    /// Waiters are served in the order in which they came: a tokio mutex is fair.
    ready: Arc<Mutex<mpsc::Receiver<LinkKey>>>,
    made: Arc<AtomicU64>,
}

impl KeyPool {
    /// Starts the thread. It ends when the last clone of the pool is dropped.
    pub(super) fn start() -> std::io::Result<Self> {
        let (sender, ready) = mpsc::channel(POOL);
        let made = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&made);
        std::thread::Builder::new()
            .name("scanout-keys".into())
            .spawn(move || {
                // On Linux this is the thread's alone. Without it keys come all the same.
                let _ = rustix::process::setpriority_process(None, NICE);
                while !sender.is_closed() {
                    let Some(key) = LinkKey::generate() else {
                        tracing::error!("cannot make an RSA key: no more links");
                        return;
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    // Sleeps while the pool is full.
                    if sender.blocking_send(key).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            ready: Arc::new(Mutex::new(ready)),
            made,
        })
    }

    /// The next key; waits while there is none. `None` if keys cannot be made. May be
    /// cancelled without losing a key.
    pub(super) async fn take(&self) -> Option<LinkKey> {
        self.ready.lock().await.recv().await
    }

    /// How many were made so far.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::task::Context;
    use std::time::{Duration, Instant};

    use rsa::RsaPublicKey;
    use rsa::pkcs8::DecodePublicKey;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn what_is_encrypted_to_the_key_shown_is_decrypted() {
        let key = LinkKey::generate().unwrap();
        let public = RsaPublicKey::from_public_key_der(key.public()).unwrap();
        let ticket = public
            .encrypt(&mut OsRng, Oaep::new::<Sha1>(), b"secret\0")
            .unwrap();
        let clear = key.decrypt(&ticket.try_into().unwrap()).unwrap();
        assert_eq!(&clear[..], b"secret\0");
    }

    #[test]
    fn a_ticket_for_another_key_is_refused() {
        let key = LinkKey::generate().unwrap();
        for ticket in [[0; TICKET_LEN], [0xff; TICKET_LEN], [7; TICKET_LEN]] {
            assert!(LinkKey::generate().unwrap().decrypt(&ticket).is_none());
        }
        let public = RsaPublicKey::from_public_key_der(key.public()).unwrap();
        let ticket = public
            .encrypt(&mut OsRng, Oaep::new::<Sha1>(), b"secret\0")
            .unwrap();
        let other = LinkKey::generate().unwrap();
        assert!(other.decrypt(&ticket.try_into().unwrap()).is_none());
    }

    #[test]
    fn no_two_links_get_the_same_key_and_those_who_wait_are_served() {
        runtime().block_on(async {
            let pool = KeyPool::start().unwrap();
            let mut seen = HashSet::new();
            // More than the pool holds, so that the last ones wait for the thread.
            for _ in 0..POOL + 4 {
                let key = tokio::time::timeout(Duration::from_secs(60), pool.take())
                    .await
                    .expect("the pool is filled again")
                    .unwrap();
                assert!(seen.insert(*key.public()));
            }
        });
    }

    #[test]
    fn a_waiter_that_gives_up_is_not_in_the_way_of_the_next() {
        runtime().block_on(async {
            let pool = KeyPool::start().unwrap();
            let waker = std::task::Waker::noop();
            for _ in 0..50 {
                let mut taking = Box::pin(pool.take());
                let _ = taking.as_mut().poll(&mut Context::from_waker(waker));
            }
            let key = tokio::time::timeout(Duration::from_secs(60), pool.take()).await;
            assert!(key.expect("a key in time").is_some());
        });
    }

    #[test]
    fn a_full_pool_makes_no_more_keys() {
        runtime().block_on(async {
            let pool = KeyPool::start().unwrap();
            // One more than the pool holds: the one that waits to be put in.
            let full = POOL as u64 + 1;
            let end = Instant::now() + Duration::from_secs(120);
            while pool.made() < full && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // Long enough for another two or three.
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(pool.made(), full);
            pool.take().await.unwrap();
            while pool.made() == full && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(pool.made(), full + 1);
        });
    }
}
