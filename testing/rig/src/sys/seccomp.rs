//! `linux/seccomp.h`: a filter that lets another thread see, answer or refuse the
//! ioctls of a thread.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// `struct seccomp_notif`, with its `struct seccomp_data`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notification {
    pub(crate) id: u64,
    pub(crate) pid: u32,
    flags: u32,
    nr: i32,
    arch: u32,
    instruction_pointer: u64,
    pub(crate) args: [u64; 6],
}

/// `struct seccomp_notif_resp`
#[repr(C)]
struct Answer {
    id: u64,
    val: i64,
    error: i32,
    flags: u32,
}

const SECCOMP_IOCTL_NOTIF_RECV: Opcode = opcode::read_write::<Notification>(b'!', 0);
const SECCOMP_IOCTL_NOTIF_SEND: Opcode = opcode::read_write::<Answer>(b'!', 1);
const SECCOMP_USER_NOTIF_FLAG_CONTINUE: u32 = 1;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = {
    assert!(SECCOMP_IOCTL_NOTIF_RECV == 0xc050_2100);
    assert!(SECCOMP_IOCTL_NOTIF_SEND == 0xc018_2101);
};

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// Offsets in `struct seccomp_data`: the system call's number, and the lower half of its
/// second argument.
const NR: u32 = 0;
const REQUEST: u32 = if cfg!(target_endian = "little") {
    24
} else {
    28
};

fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Has the ioctls of this thread whose request is among `requests`, and those of the
/// threads that it starts from here on, reported to the descriptor that is returned.
/// Each waits until it is answered. There is no way back.
pub(crate) fn install(requests: &[u32]) -> Result<OwnedFd, Errno> {
    let count = u8::try_from(requests.len()).map_err(|_| Errno::INVAL)?;
    let mut program = vec![
        statement(LOAD, NR),
        libc::sock_filter {
            jf: count + 1,
            ..statement(JUMP_EQUAL, libc::SYS_ioctl as u32)
        },
        statement(LOAD, REQUEST),
    ];
    for (index, request) in (0..count).zip(requests) {
        program.push(libc::sock_filter {
            jt: count - index,
            ..statement(JUMP_EQUAL, *request)
        });
    }
    program.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    program.push(statement(RETURN, libc::SECCOMP_RET_USER_NOTIF));
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // Without it only root may filter.
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: the kernel reads the program, which lives until the call is back, and
    // returns a descriptor or -1.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    if fd < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
    }
    // SAFETY: installed just now.
    unsafe { super::owned(i32::try_from(fd).map_err(|_| Errno::BADF)?) }
}

/// The next ioctl; waits for one.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> Result<Notification, Errno> {
    // The kernel insists on zeros.
    let mut notification = Notification::default();
    // SAFETY: the opcode's size is that of `Notification`, which the kernel fills in.
    unsafe {
        ioctl(
            listener,
            Updater::<SECCOMP_IOCTL_NOTIF_RECV, Notification>::new(&mut notification),
        )?;
    }
    Ok(notification)
}

/// Lets the ioctl go on, or has it return `refusal`.
pub(crate) fn answer(
    listener: BorrowedFd<'_>,
    id: u64,
    refusal: Option<Errno>,
) -> Result<(), Errno> {
    let mut answer = Answer {
        id,
        val: 0,
        error: refusal.map_or(0, |errno| -errno.raw_os_error()),
        flags: match refusal {
            None => SECCOMP_USER_NOTIF_FLAG_CONTINUE,
            Some(_) => 0,
        },
    };
    // SAFETY: the opcode's size is that of `Answer`.
    unsafe {
        ioctl(
            listener,
            Updater::<SECCOMP_IOCTL_NOTIF_SEND, Answer>::new(&mut answer),
        )
    }
}
