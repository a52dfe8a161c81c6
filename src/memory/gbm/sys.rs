//! libgbm, opened at run time so that a machine without it runs the rest: its
//! functions as `gbm.h` declares them, and owners of what they return.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;

use libloading::Library;
use rustix::io::Errno;
use scanout_core::format::{Fourcc, PlaneInfo};
use scanout_core::geometry::{Rect, Size};

/// `GBM_BO_USE_RENDERING`
pub(super) const USE_RENDERING: u32 = 1 << 2;
/// `GBM_BO_USE_LINEAR`
pub(super) const USE_LINEAR: u32 = 1 << 4;
/// `GBM_BO_TRANSFER_WRITE`
const TRANSFER_WRITE: u32 = 1 << 1;

/// `struct gbm_device`
#[repr(C)]
struct RawDevice {
    _opaque: [u8; 0],
}

/// `struct gbm_bo`
#[repr(C)]
struct RawBo {
    _opaque: [u8; 0],
}

/// A function that did not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::memory) enum CallError {
    /// The library is too old, or another than Mesa's.
    #[error("the library lacks {0}, which it would take")]
    Lacks(&'static str),
    /// It failed.
    #[error("{call} failed: {}", reason(.errno))]
    Failed {
        call: &'static str,
        errno: Option<Errno>,
    },
    /// It answered something that cannot be.
    #[error("{call} answered {seen}, which must be {bound}")]
    Answer {
        call: &'static str,
        seen: i64,
        bound: &'static str,
    },
}

fn reason(errno: &Option<Errno>) -> String {
    match errno {
        Some(errno) => errno.to_string(),
        None => "it does not say why".to_owned(),
    }
}

unsafe extern "C" {
    /// Where glibc and musl keep `errno`.
    safe fn __errno_location() -> *mut c_int;
}

/// Runs `call` with `errno` clear before, so that what is found in it after a
/// failure belongs to this call.
fn with_errno<R>(call: impl FnOnce() -> R) -> (R, Option<Errno>) {
    let place = __errno_location();
    // SAFETY: the address is that of this thread's own errno, valid as long as the thread.
    unsafe { place.write(0) };
    let result = call();
    // SAFETY: as above; still the same thread.
    let errno = unsafe { place.read() };
    (
        result,
        (errno != 0).then(|| Errno::from_raw_os_error(errno)),
    )
}

macro_rules! functions {
    (
        required { $($name:ident($($arg:ty),*) $(-> $ret:ty)?;)* }
        optional { $($opt:ident($($opt_arg:ty),*) $(-> $opt_ret:ty)?;)* }
    ) => {
        /// The functions of one library.
        #[allow(clippy::type_complexity)]
        struct Functions {
            $($name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)*
            $($opt: Option<unsafe extern "C" fn($($opt_arg),*) $(-> $opt_ret)?>,)*
        }

        impl Functions {
            /// Looks all of them up; the name of a required one that is missing as the error.
            fn resolve(library: &Library) -> Result<Self, &'static str> {
                Ok(Self {
                    $($name: {
                        let name = stringify!($name);
                        // SAFETY: the type is that of the function of this name in gbm.h.
                        let found = unsafe { library.get(name.as_bytes()) };
                        *found.map_err(|_| name)?
                    },)*
                    $($opt: {
                        // SAFETY: the type is that of the function of this name in gbm.h.
                        let found = unsafe { library.get(stringify!($opt).as_bytes()) };
                        found.ok().map(|found| *found)
                    },)*
                })
            }

            /// Names of optional functions that the library does not have.
            fn lacks(&self) -> Vec<&'static str> {
                [$((stringify!($opt), self.$opt.is_some())),*]
                    .into_iter()
                    .filter_map(|(name, there)| (!there).then_some(name))
                    .collect()
            }
        }
    };
}

functions! {
    required {
        gbm_create_device(c_int) -> *mut RawDevice;
        gbm_device_destroy(*mut RawDevice);
        gbm_bo_create(*mut RawDevice, u32, u32, u32, u32) -> *mut RawBo;
        gbm_bo_destroy(*mut RawBo);
        gbm_bo_map(*mut RawBo, u32, u32, u32, u32, u32, *mut u32, *mut *mut c_void) -> *mut c_void;
        gbm_bo_unmap(*mut RawBo, *mut c_void);
        gbm_bo_get_fd(*mut RawBo) -> c_int;
        gbm_bo_get_stride(*mut RawBo) -> u32;
    }
    // What Mesa got later, in about this order, and others' libraries may lack.
    optional {
        gbm_device_get_backend_name(*mut RawDevice) -> *const c_char;
        gbm_bo_create_with_modifiers(*mut RawDevice, u32, u32, u32, *const u64, c_uint) -> *mut RawBo;
        gbm_bo_get_modifier(*mut RawBo) -> u64;
        gbm_bo_get_plane_count(*mut RawBo) -> c_int;
        gbm_bo_get_stride_for_plane(*mut RawBo, c_int) -> u32;
        gbm_bo_get_offset(*mut RawBo, c_int) -> u32;
        gbm_bo_create_with_modifiers2(*mut RawDevice, u32, u32, u32, *const u64, c_uint, u32) -> *mut RawBo;
        gbm_bo_get_fd_for_plane(*mut RawBo, c_int) -> c_int;
    }
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::memory) enum LoadError {
    #[error("{0}")]
    Open(#[from] libloading::Error),
    #[error("it lacks {0}")]
    Lacks(&'static str),
}

/// The library.
pub(super) struct Gbm {
    functions: Functions,
    /// Never unloaded: drivers behind it leave threads and exit handlers.
    _library: ManuallyDrop<Library>,
}

impl fmt::Debug for Gbm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gbm").finish_non_exhaustive()
    }
}

impl Gbm {
    /// Opens `library` as the dynamic linker finds it.
    pub(super) fn load(library: &str) -> Result<Self, LoadError> {
        // SAFETY: this runs the library's initialisers; libgbm's and its
        // dependencies' ask nothing of the caller.
        let library = ManuallyDrop::new(unsafe { Library::new(library) }?);
        let functions = Functions::resolve(&library).map_err(LoadError::Lacks)?;
        Ok(Self {
            functions,
            _library: library,
        })
    }

    /// Names of optional functions that the library does not have.
    pub(super) fn lacks(&self) -> Vec<&'static str> {
        self.functions.lacks()
    }
}

/// A device, destroyed on drop. GBM's objects may be used by one thread at a
/// time: the `Rc` keeps them on the one that made them.
#[derive(Debug)]
pub(super) struct Device {
    raw: NonNull<RawDevice>,
    gbm: Gbm,
    /// Open as long as the device uses it: dropped after it.
    _node: OwnedFd,
}

impl Device {
    /// A device on an open node.
    pub(super) fn create(gbm: Gbm, node: OwnedFd) -> Result<Rc<Self>, CallError> {
        // SAFETY: the descriptor is open, and stays so until the device is destroyed.
        let (raw, errno) =
            with_errno(|| unsafe { (gbm.functions.gbm_create_device)(node.as_raw_fd()) });
        let call = "gbm_create_device";
        let raw = NonNull::new(raw).ok_or(CallError::Failed { call, errno })?;
        Ok(Rc::new(Self {
            raw,
            gbm,
            _node: node,
        }))
    }

    /// Name of the implementation, where the library tells it.
    pub(super) fn backend(&self) -> Option<String> {
        let name = self.gbm.functions.gbm_device_get_backend_name?;
        // SAFETY: the device is alive; the answer is NULL or a string that lives as long.
        let name = NonNull::new(unsafe { name(self.raw.as_ptr()) }.cast_mut())?;
        // SAFETY: not NULL, and NUL-terminated by contract.
        let name = unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) };
        Some(name.to_string_lossy().into_owned())
    }

    /// A buffer in a layout that `flags` and the driver choose.
    pub(super) fn buffer(
        self: &Rc<Self>,
        fourcc: Fourcc,
        plane: &'static PlaneInfo,
        size: Size,
        flags: u32,
    ) -> Result<Bo, CallError> {
        let Size { width, height } = size;
        // SAFETY: the device is alive; numbers that it does not like are refused.
        let (raw, errno) = with_errno(|| unsafe {
            (self.gbm.functions.gbm_bo_create)(self.raw.as_ptr(), width, height, fourcc.0, flags)
        });
        self.own("gbm_bo_create", raw, errno, plane, size)
    }

    /// A buffer with `modifier`.
    pub(super) fn buffer_with(
        self: &Rc<Self>,
        fourcc: Fourcc,
        plane: &'static PlaneInfo,
        size: Size,
        modifier: u64,
        flags: u32,
    ) -> Result<Bo, CallError> {
        let Size { width, height } = size;
        let functions = &self.gbm.functions;
        if let Some(create) = functions.gbm_bo_create_with_modifiers2 {
            // SAFETY: the device is alive, and the pointer is to one modifier.
            let (raw, errno) = with_errno(|| unsafe {
                let device = self.raw.as_ptr();
                create(
                    device,
                    width,
                    height,
                    fourcc.0,
                    &raw const modifier,
                    1,
                    flags,
                )
            });
            let call = "gbm_bo_create_with_modifiers2";
            return self.own(call, raw, errno, plane, size);
        }
        let create = functions
            .gbm_bo_create_with_modifiers
            .ok_or(CallError::Lacks("gbm_bo_create_with_modifiers"))?;
        // SAFETY: the device is alive, and the pointer is to one modifier.
        let (raw, errno) = with_errno(|| unsafe {
            let device = self.raw.as_ptr();
            create(device, width, height, fourcc.0, &raw const modifier, 1)
        });
        self.own("gbm_bo_create_with_modifiers", raw, errno, plane, size)
    }

    fn own(
        self: &Rc<Self>,
        call: &'static str,
        raw: *mut RawBo,
        errno: Option<Errno>,
        plane: &'static PlaneInfo,
        size: Size,
    ) -> Result<Bo, CallError> {
        Ok(Bo {
            raw: NonNull::new(raw).ok_or(CallError::Failed { call, errno })?,
            device: Rc::clone(self),
            plane,
            size,
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: made by gbm_create_device and destroyed here only; its buffers
        // hold the device, so none is left.
        unsafe { (self.gbm.functions.gbm_device_destroy)(self.raw.as_ptr()) };
    }
}

/// A buffer object, destroyed on drop.
#[derive(Debug)]
pub(super) struct Bo {
    raw: NonNull<RawBo>,
    device: Rc<Device>,
    /// The format's only plane.
    plane: &'static PlaneInfo,
    size: Size,
}

impl Bo {
    fn functions(&self) -> &Functions {
        &self.device.gbm.functions
    }

    /// Planes, those of the modifier included.
    pub(super) fn plane_count(&self) -> Result<u8, CallError> {
        // A library without this function knows buffers of one plane.
        let Some(count) = self.functions().gbm_bo_get_plane_count else {
            return Ok(1);
        };
        // SAFETY: the buffer is alive.
        let (count, errno) = with_errno(|| unsafe { count(self.raw.as_ptr()) });
        let call = "gbm_bo_get_plane_count";
        match u8::try_from(count) {
            Ok(planes @ 1..=4) => Ok(planes),
            _ if count < 0 => Err(CallError::Failed { call, errno }),
            _ => Err(CallError::Answer {
                call,
                seen: count.into(),
                bound: "1 to 4",
            }),
        }
    }

    /// Bytes from row to row of a plane.
    pub(super) fn stride(&self, plane: u8) -> Result<u32, CallError> {
        let raw = self.raw.as_ptr();
        match (self.functions().gbm_bo_get_stride_for_plane, plane) {
            // SAFETY: the buffer is alive, and the plane one of its own.
            (Some(stride), _) => Ok(unsafe { stride(raw, plane.into()) }),
            // SAFETY: the buffer is alive.
            (None, 0) => Ok(unsafe { (self.functions().gbm_bo_get_stride)(raw) }),
            (None, _) => Err(CallError::Lacks("gbm_bo_get_stride_for_plane")),
        }
    }

    /// Bytes before the first row of a plane.
    pub(super) fn offset(&self, plane: u8) -> Result<u32, CallError> {
        match (self.functions().gbm_bo_get_offset, plane) {
            // SAFETY: the buffer is alive, and the plane one of its own.
            (Some(offset), _) => Ok(unsafe { offset(self.raw.as_ptr(), plane.into()) }),
            (None, 0) => Ok(0),
            (None, _) => Err(CallError::Lacks("gbm_bo_get_offset")),
        }
    }

    /// The modifier, where the library tells it.
    pub(super) fn modifier(&self) -> Option<u64> {
        let modifier = self.functions().gbm_bo_get_modifier?;
        // SAFETY: the buffer is alive.
        Some(unsafe { modifier(self.raw.as_ptr()) })
    }

    /// The dma-buf that a plane lies in.
    pub(super) fn descriptor(&self, plane: u8) -> Result<OwnedFd, CallError> {
        let raw = self.raw.as_ptr();
        let (call, (fd, errno)) = match (self.functions().gbm_bo_get_fd_for_plane, plane) {
            (Some(export), _) => (
                "gbm_bo_get_fd_for_plane",
                // SAFETY: the buffer is alive, and the plane one of its own.
                with_errno(|| unsafe { export(raw, plane.into()) }),
            ),
            (None, 0) => (
                "gbm_bo_get_fd",
                // SAFETY: the buffer is alive.
                with_errno(|| unsafe { (self.functions().gbm_bo_get_fd)(raw) }),
            ),
            (None, _) => return Err(CallError::Lacks("gbm_bo_get_fd_for_plane")),
        };
        if fd < 0 {
            return Err(CallError::Failed { call, errno });
        }
        // SAFETY: both functions return a new descriptor, which the caller owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// The pixels of `rect`, which begins at a whole block, for writing all of
    /// them: what they held before need not be there. Drivers may hand out a
    /// linear copy and write it back when the map ends.
    pub(super) fn map(&mut self, rect: Rect) -> Result<Mapping<'_>, CallError> {
        let call = "gbm_bo_map";
        let inside = rect.clip(self.size) == rect && rect.width > 0 && rect.height > 0;
        if !inside {
            return Err(CallError::Answer {
                call: "the rectangle to map",
                seen: i64::from(rect.width),
                bound: "inside of the buffer and not empty",
            });
        }
        let row_bytes = usize::try_from(self.plane.row_bytes(rect.width)).unwrap_or(usize::MAX);
        let (mut stride, mut data) = (0u32, std::ptr::null_mut());
        // SAFETY: the buffer is alive and the rectangle inside of it; both
        // places to answer to are ours. Mesa wants `data` to be NULL before.
        let (address, errno) = with_errno(|| unsafe {
            (self.functions().gbm_bo_map)(
                self.raw.as_ptr(),
                rect.x,
                rect.y,
                rect.width,
                rect.height,
                TRANSFER_WRITE,
                &raw mut stride,
                &raw mut data,
            )
        });
        // MAP_FAILED is what some drivers return in place of NULL.
        let address = NonNull::new(address.cast::<u8>())
            .filter(|address| address.as_ptr().addr() != usize::MAX)
            .ok_or(CallError::Failed { call, errno })?;
        let mapping = Mapping {
            address,
            stride: stride as usize,
            row_bytes,
            rows: rect.height as usize,
            data,
            raw: self.raw,
            unmap: self.functions().gbm_bo_unmap,
            _bo: PhantomData,
        };
        if mapping.rows > 1 && mapping.stride < row_bytes {
            return Err(CallError::Answer {
                call,
                seen: stride.into(),
                bound: "a stride of at least the bytes of a row",
            });
        }
        Ok(mapping)
    }
}

impl Drop for Bo {
    fn drop(&mut self) {
        // SAFETY: made by one of the gbm_bo_create functions and destroyed here
        // only, before its device, which it holds.
        unsafe { (self.functions().gbm_bo_destroy)(self.raw.as_ptr()) };
    }
}

/// Pixels of a buffer as rows in memory, ended on drop. Mesa flushes what the
/// driver has queued for it then, so that the dma-buf's fences cover it.
pub(super) struct Mapping<'a> {
    address: NonNull<u8>,
    stride: usize,
    row_bytes: usize,
    rows: usize,
    data: *mut c_void,
    raw: NonNull<RawBo>,
    unmap: unsafe extern "C" fn(*mut RawBo, *mut c_void),
    /// No other map of the buffer meanwhile.
    _bo: PhantomData<&'a mut Bo>,
}

impl Mapping<'_> {
    /// The bytes of row `y`; `None` beyond the last.
    pub(super) fn row(&mut self, y: usize) -> Option<&mut [u8]> {
        if y >= self.rows {
            return None;
        }
        // SAFETY: the library mapped `rows` rows of `row_bytes` bytes, `stride`
        // bytes apart, at `address`; they stay until the drop, and `&mut self`
        // makes this the only slice of them.
        Some(unsafe {
            let start = self.address.add(y * self.stride);
            std::slice::from_raw_parts_mut(start.as_ptr(), self.row_bytes)
        })
    }
}

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        // SAFETY: the buffer outlives the map, and `data` is what gbm_bo_map gave for it.
        unsafe { (self.unmap)(self.raw.as_ptr(), self.data) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_or_is_another_is_told_by_name() {
        let error = Gbm::load("libgbm-not-there.so.1").unwrap_err().to_string();
        assert!(error.contains("libgbm-not-there.so.1"), "{error}");
        let error = Gbm::load("libc.so.6").unwrap_err();
        assert!(
            matches!(error, LoadError::Lacks("gbm_create_device")),
            "{error}"
        );
    }

    #[test]
    fn every_function_is_found_in_a_current_library() {
        match Gbm::load(super::super::LIBRARY) {
            // Debian 12 has Mesa 22.3, newer than all that is asked for.
            Ok(gbm) => assert_eq!(gbm.lacks(), [""; 0]),
            Err(error) => {
                let required = std::env::var("SCANOUT_REQUIRE_TOOLS").is_ok_and(|v| v == "1");
                assert!(!required, "{error}, and SCANOUT_REQUIRE_TOOLS is set");
                println!("skip: {error}");
            }
        }
    }

    #[test]
    fn errno_is_that_of_the_call() {
        let (_, before) = with_errno(|| open_fails("/not/there"));
        assert_eq!(before, Some(Errno::NOENT));
        let ((), after) = with_errno(|| ());
        assert_eq!(after, None);
    }

    /// A call of the C library that fails and sets errno.
    fn open_fails(path: &str) {
        assert!(std::fs::File::open(path).is_err());
    }
}
