//! Dma-bufs of every kind of memory, laid out in any way, with known pixels.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use scanout_core::buffer::alloc::{Canvas, Provider};
use scanout_core::buffer::{
    DmaBuf, ImportPolicy, Layout, Object, ObjectId, Orientation, Plane, View,
};
use scanout_core::color::ColorSpec;
use scanout_core::convert::{self, PictureLayout};
use scanout_core::format::{self, Fourcc};
use scanout_core::geometry::Size;
use scanout_rig::machine;

/// Every provider of real dma-bufs; `None`, said aloud, where there is none.
pub fn real_providers() -> Option<Vec<Provider>> {
    let providers = machine::dma_buf_providers();
    machine::or_skip(
        "provider of dma-bufs",
        (!providers.is_empty()).then_some(providers),
    )
}

/// The best memory of this machine for a test that must run everywhere:
/// dma-bufs where it has some, else a memfd, which GStreamer maps the same.
pub fn any_provider() -> Provider {
    let real = machine::dma_buf_providers().into_iter().next();
    real.or_else(|| machine::or_skip("provider of dma-bufs", None))
        .unwrap_or(Provider::Memfd)
}

/// A linear layout with each plane at (object, offset, stride).
pub fn layout(fourcc: Fourcc, size: Size, places: &[(u8, u32, u32)]) -> Layout {
    let (mut layout, _) = Layout::packed(fourcc, size, 4).unwrap();
    assert_eq!(layout.planes.len(), places.len(), "{fourcc}");
    for (plane, &(object, offset, stride)) in layout.planes.iter_mut().zip(places) {
        *plane = Plane {
            object,
            offset,
            stride,
        };
    }
    layout
}

/// A buffer, the memory behind it, and its pixels.
pub struct Drawn {
    pub canvases: Vec<Canvas>,
    pub buffer: DmaBuf,
    /// The rows of all planes, one after the other, without gaps.
    pub pixels: Vec<u8>,
}

impl Drawn {
    /// Memory of `provider` for `layout`, drawn as `seed` says.
    pub fn new(provider: &Provider, layout: &Layout, seed: u32) -> Self {
        let format = format::info(layout.fourcc).unwrap();
        let objects = layout.planes.iter().map(|p| p.object).max().unwrap_or(0);
        let ends = (0..=objects).map(|object| {
            let planes = layout.planes.iter().zip(format.planes);
            let ends = planes.filter(|(p, _)| p.object == object).map(|(p, info)| {
                u64::from(p.offset) + u64::from(p.stride) * info.rows(layout.size.height)
            });
            ends.max().unwrap()
        });
        let canvases: Vec<Canvas> = ends
            .map(|bytes| provider.allocate(bytes).unwrap().into_canvas().unwrap())
            .collect();
        let fds: Vec<BorrowedFd<'_>> = canvases.iter().map(AsFd::as_fd).collect();
        let policy = ImportPolicy::default().with_memfd();
        let buffer = DmaBuf::import(&fds, layout, &policy).unwrap();
        assert_eq!(buffer.is_dma_buf(), *provider != Provider::Memfd);
        let mut drawn = Self {
            canvases,
            buffer,
            pixels: Vec::new(),
        };
        // What lies between rows is not of the picture and must not be seen.
        for canvas in &mut drawn.canvases {
            canvas.draw(|bytes| bytes.fill(0xee)).unwrap();
        }
        drawn.redraw(seed, |_, _| true);
        drawn
    }

    /// Draws another picture where `inside` says so of a block's first pixel.
    pub fn redraw(&mut self, seed: u32, inside: impl Fn(u32, u32) -> bool) {
        let layout = self.buffer.layout().clone();
        let mut pixels = Vec::with_capacity(self.pixels.len());
        let planes = layout.planes.iter().zip(self.buffer.format().planes);
        for (index, (plane, info)) in planes.enumerate() {
            let row_bytes = info.row_bytes(layout.size.width) as usize;
            let canvas = &mut self.canvases[usize::from(plane.object)];
            canvas
                .draw(|bytes| {
                    for y in 0..info.rows(layout.size.height) as u32 {
                        let at = plane.offset as usize + y as usize * plane.stride as usize;
                        let row = &mut bytes[at..at + row_bytes];
                        for (x, byte) in row.iter_mut().enumerate() {
                            let (block, part) = (
                                x as u32 / u32::from(info.block_bytes),
                                x as u32 % u32::from(info.block_bytes),
                            );
                            let pixel = (block * u32::from(info.h_sub), y * u32::from(info.v_sub));
                            if inside(pixel.0, pixel.1) {
                                *byte = wave(
                                    block * 3 + y * 5 + part * 70 + index as u32 * 110 + seed * 29,
                                );
                            }
                        }
                        pixels.extend_from_slice(row);
                    }
                })
                .unwrap();
        }
        self.pixels = pixels;
    }
}

/// How many descriptors of this process are of these objects.
pub fn descriptors_of(ids: &[ObjectId]) -> usize {
    let own = |path: std::path::PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| {
            ids.contains(&ObjectId {
                dev: found.dev(),
                inode: found.ino(),
            })
        })
    };
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    all.filter(|entry| own(entry.as_ref().unwrap().path()))
        .count()
}

impl Drawn {
    /// What its objects are known by.
    pub fn ids(&self) -> Vec<ObjectId> {
        self.buffer.objects().iter().map(Object::id).collect()
    }

    /// How many descriptors of this process are its objects'.
    pub fn descriptors(&self) -> usize {
        descriptors_of(&self.ids())
    }

    /// What the core's definition of the conversion makes of the pixels as they
    /// are now, for a picture like `layout`: all of its samples as far as `size`.
    pub fn reference(&self, layout: &PictureLayout, color: ColorSpec, size: Size) -> Vec<u8> {
        let View {
            content,
            orientation,
        } = self.buffer.view();
        let whole = self.buffer.layout().size;
        if self.buffer.layout().fourcc == Fourcc::NV12 {
            assert!(
                content.size() == whole && size == whole,
                "repacked as it is"
            );
            assert_eq!(orientation, Orientation::TopDown);
            let (luma, chroma) = self.pixels.split_at((size.width * size.height) as usize);
            let part = |from: usize| chroma.iter().skip(from).step_by(2);
            return luma.iter().chain(part(0)).chain(part(1)).copied().collect();
        }
        let stride = whole.width as usize * 4;
        let start = content.y as usize * stride + content.x as usize * 4;
        let plane = convert::PlaneView::new(&self.pixels[start..], stride);
        let fourcc = self.buffer.layout().fourcc;
        let mut source = convert::Source::new(fourcc, content.size(), [plane]);
        source.bottom_up = orientation == Orientation::BottomUp;
        let mut target = vec![0; layout.total_bytes()];
        convert::reference::convert(&source, layout, color, &mut target).unwrap();
        super::samples_of(layout, &target, size)
    }
}

/// Up and down between 20 and 220, which every range of samples holds, without
/// the jumps that a coder of pictures blurs.
fn wave(at: u32) -> u8 {
    (20 + (at % 400).abs_diff(200)) as u8
}
