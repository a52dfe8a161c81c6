use arrayvec::ArrayVec;

use super::{Layout, MAX_PLANES, ObjectId};

/// What identifies a buffer: its objects' inodes and its layout. One object may be
/// described anew, and a descriptor's number may be given to another object; neither
/// is taken for what it was.
///
/// Making, cloning, comparing and hashing one allocates nothing. It identifies a buffer
/// only while somebody holds the buffer, so keep a [`DmaBuf`](super::DmaBuf) beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BufferKey {
    objects: ArrayVec<ObjectId, MAX_PLANES>,
    layout: Layout,
}

impl BufferKey {
    pub(super) fn new(objects: ArrayVec<ObjectId, MAX_PLANES>, layout: Layout) -> Self {
        Self { objects, layout }
    }

    /// The objects.
    pub fn objects(&self) -> &[ObjectId] {
        &self.objects
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// How much an [`ImportCache`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheBudget {
    /// Entries.
    pub entries: usize,
    /// Bytes that they pin.
    pub bytes: u64,
}

impl Default for CacheBudget {
    /// 16 entries (a guest flips between two to four buffers per screen, and a
    /// resize or two may be under way) and 1 GiB (16 pictures of 4096x4096 in 32 bits).
    fn default() -> Self {
        Self {
            entries: 16,
            bytes: 1 << 30,
        }
    }
}

/// What a cache has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Entries given up for lack of budget.
    pub evicted: u64,
    /// Entries retired by name.
    pub retired: u64,
}

#[derive(Debug)]
struct Entry<T> {
    key: BufferKey,
    value: T,
    bytes: u64,
    used: u64,
}

/// Imports of buffers, kept from frame to frame. The least recently used go when a
/// budget is exceeded; the newest always stays, even if it alone exceeds it.
///
/// The kernel does not tell when a producer closes its buffers, so whoever learns that
/// a scanout was replaced or disabled calls [`retire`](Self::retire). A hit allocates
/// nothing: entries lie in one array that is searched from end to end, which for the
/// few entries that the budget allows is as fast as hashing a key.
#[derive(Debug)]
pub struct ImportCache<T> {
    entries: Vec<Entry<T>>,
    budget: CacheBudget,
    bytes: u64,
    clock: u64,
    stats: CacheStats,
}

impl<T> ImportCache<T> {
    /// An empty cache; a budget without entries is taken as one entry.
    pub fn new(budget: CacheBudget) -> Self {
        Self {
            entries: Vec::new(),
            budget: CacheBudget {
                entries: budget.entries.max(1),
                ..budget
            },
            bytes: 0,
            clock: 0,
            stats: CacheStats::default(),
        }
    }

    /// The entry of `key`, which becomes the most recently used.
    pub fn get(&mut self, key: &BufferKey) -> Option<&mut T> {
        self.clock += 1;
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == *key) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        entry.used = self.clock;
        Some(&mut entry.value)
    }

    /// Keeps `value`, which pins `bytes`, in place of what `key` had before, and gives up
    /// the least recently used while there is too much.
    pub fn insert(&mut self, key: BufferKey, bytes: u64, value: T) {
        self.remove(&key);
        self.clock += 1;
        while !self.entries.is_empty()
            && (self.entries.len() >= self.budget.entries
                || self.bytes.saturating_add(bytes) > self.budget.bytes)
        {
            self.evict_oldest();
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries.push(Entry {
            key,
            value,
            bytes,
            used: self.clock,
        });
    }

    /// The entry of `key`, made by `make` when there is none. An error is not cached.
    pub fn get_or_try_insert<E>(
        &mut self,
        key: &BufferKey,
        bytes: u64,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<&mut T, E> {
        if self.get(key).is_none() {
            let value = make()?;
            self.insert(key.clone(), bytes, value);
        }
        // The borrow checker does not accept returning the entry found above.
        let at = self.entries.iter().position(|entry| entry.key == *key);
        Ok(&mut self.entries[at.unwrap_or_default()].value)
    }

    /// Gives up the entry of `key`: its scanout was replaced or disabled.
    pub fn retire(&mut self, key: &BufferKey) -> Option<T> {
        let value = self.remove(key);
        self.stats.retired += u64::from(value.is_some());
        value
    }

    /// Gives up everything.
    pub fn clear(&mut self) {
        self.stats.retired += self.entries.len() as u64;
        self.entries.clear();
        self.bytes = 0;
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that the entries pin.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it has done so far.
    pub fn stats(&self) -> CacheStats {
        self.stats
    }

    fn remove(&mut self, key: &BufferKey) -> Option<T> {
        let at = self.entries.iter().position(|entry| entry.key == *key)?;
        let entry = self.entries.swap_remove(at);
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry.value)
    }

    fn evict_oldest(&mut self) {
        let oldest = (0..self.entries.len()).min_by_key(|&at| self.entries[at].used);
        if let Some(at) = oldest {
            let entry = self.entries.swap_remove(at);
            self.bytes = self.bytes.saturating_sub(entry.bytes);
            self.stats.evicted += 1;
        }
    }
}

impl<T> Default for ImportCache<T> {
    fn default() -> Self {
        Self::new(CacheBudget::default())
    }
}
