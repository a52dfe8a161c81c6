//! Certificate and key, read again when they have changed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::config::TlsFiles;
use super::error::TlsError;

/// Most of a file: a chain of certificates has some kilobytes.
const FILE_MAX: u64 = 1 << 20;

/// What new links are protected with.
pub(super) struct Tls {
    files: TlsFiles,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    /// Of the files that were looked at last, good or not.
    stamps: [Stamp; 2],
}

/// Changes when a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        let stamp = |meta: fs::Metadata| Some((meta.modified().ok()?, meta.len(), meta.ino()));
        Self(fs::metadata(path).ok().and_then(stamp))
    }
}

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let config = read(&files)?;
        Ok(Self {
            files,
            state: Mutex::new(State { config, stamps }),
        })
    }

    /// For the next link. Where the files have changed and are no good, those before
    /// stay, and a warning says so once. Blocks as long as the file system does.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if stamps != state.stamps {
            state.stamps = stamps;
            match read(&self.files) {
                Ok(config) => {
                    tracing::info!("certificate and key have changed and count for new links");
                    state.config = config;
                }
                Err(error) => {
                    tracing::warn!(%error, "certificate or key have changed and are no good: those before stay");
                }
            }
        }
        Arc::clone(&state.config)
    }
}

fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    [Stamp::of(&files.certificate), Stamp::of(&files.key)]
}

/// What is in a file that has an end: a pipe without a writer, or a device, has none.
fn regular(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if meta.len() > FILE_MAX {
        let text = format!("{} bytes, at most {FILE_MAX} are read", meta.len());
        return Err(io::Error::other(text));
    }
    // Of this capacity from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(meta.len() as usize + 1));
    file.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let bytes = |path: &Path| {
        regular(path).map_err(|cause| TlsError::Read {
            path: path.into(),
            cause,
        })
    };
    let pem = |path: &Path, cause| TlsError::Pem {
        path: path.into(),
        cause,
    };
    let chain = bytes(&files.certificate)?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| pem(&files.certificate, cause))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(files.certificate.clone()));
    }
    let key = bytes(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|cause| match cause {
        PemError::NoItemsFound => TlsError::NoKey(files.key.clone()),
        cause => pem(&files.key, cause),
    })?;
    // The provider is named, as a process may have linked several.
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map(Arc::new)
        .map_err(|cause| TlsError::Unusable {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            cause,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_renewed_pair_counts_for_new_links_and_a_bad_one_does_not() {
        let folder = std::env::temp_dir().join(format!("scanout-tls-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = TlsFiles {
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        };
        let write = |cert: &str, key: &str| {
            fs::write(&files.certificate, cert).unwrap();
            fs::write(&files.key, key).unwrap();
        };
        let (cert, key) = pair();
        write(&cert, "no key");
        assert!(matches!(Tls::load(files.clone()), Err(TlsError::NoKey(_))));
        write("no certificate", &key);
        assert!(matches!(
            Tls::load(files.clone()),
            Err(TlsError::NoCertificate(_))
        ));
        write(&cert, &pair().1);
        assert!(matches!(
            Tls::load(files.clone()),
            Err(TlsError::Unusable { .. })
        ));
        write(&cert, &key);
        let tls = Tls::load(files.clone()).unwrap();
        let first = tls.config();
        assert!(Arc::ptr_eq(&first, &tls.config()));
        write(&cert, "no key any more");
        assert!(Arc::ptr_eq(&first, &tls.config()));
        let (cert, key) = pair();
        write(&(cert + "\n"), &(key + "\n"));
        let second = tls.config();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &tls.config()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_without_an_end_is_refused_and_not_waited_for() {
        let folder =
            std::env::temp_dir().join(format!("scanout-tls-endless-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pipe = folder.join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        for path in [pipe.as_path(), &folder, Path::new("/dev/zero")] {
            let (certificate, key) = (path.to_owned(), path.to_owned());
            let seen = Tls::load(TlsFiles { certificate, key }).err();
            assert!(matches!(seen, Some(TlsError::Read { .. })), "{seen:?}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
