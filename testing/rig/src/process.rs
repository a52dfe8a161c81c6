//! What this process holds: descriptors, maps, memory.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;

use scanout_core::buffer::ObjectId;

/// Open descriptors.
pub fn descriptors() -> io::Result<usize> {
    // One of them is the directory's own.
    Ok(std::fs::read_dir("/proc/self/fd")?
        .count()
        .saturating_sub(1))
}

/// Open descriptors of one object.
pub fn descriptors_of(object: ObjectId) -> io::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        // A descriptor that another thread has closed meanwhile is not of this object.
        let Ok(meta) = std::fs::metadata(entry?.path()) else {
            continue;
        };
        count += usize::from(meta.dev() == object.dev && meta.ino() == object.inode);
    }
    Ok(count)
}

/// Maps of one object.
pub fn maps_of(object: ObjectId) -> io::Result<usize> {
    let device = format!(
        "{:02x}:{:02x}",
        rustix::fs::major(object.dev),
        rustix::fs::minor(object.dev)
    );
    let inode = object.inode.to_string();
    // address perms offset device inode path
    let is_of_object = |line: &&str| {
        let mut fields = line.split_whitespace().skip(3);
        fields.next() == Some(device.as_str()) && fields.next() == Some(inode.as_str())
    };
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    Ok(maps.lines().filter(is_of_object).count())
}

/// Inodes of all dma-bufs of the machine; an error where debugfs does not tell it, or
/// not to this user.
pub fn dma_bufs_alive() -> io::Result<BTreeSet<u64>> {
    let info = std::fs::read_to_string("/sys/kernel/debug/dma_buf/bufinfo")?;
    // size flags mode count exporter inode name, numbers of eight digits or more
    let inode = |line: &str| {
        let mut fields = line.split_whitespace();
        let numbers = [
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        ];
        let is_row = numbers.iter().all(|n| n.len() >= 8);
        is_row.then(|| fields.nth(1)?.parse().ok()).flatten()
    };
    Ok(info.lines().filter_map(inode).collect())
}

/// Bytes of memory that are resident.
pub fn resident_bytes() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no VmRSS in /proc/self/status"))
}

/// Bytes of the machine that hold shared memory: memfds, and udmabufs over them.
pub fn shared_bytes() -> io::Result<u64> {
    let info = std::fs::read_to_string("/proc/meminfo")?;
    let kib = info
        .lines()
        .find_map(|line| line.strip_prefix("Shmem:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no Shmem in /proc/meminfo"))
}
