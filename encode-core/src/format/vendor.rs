//! Modifiers that carry fields rather than a number: decoded after `drm_fourcc.h`.

use std::fmt;

use bitflags::bitflags;

/// The fields of an AMD modifier (`AMD_FMT_MOD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmdTiling {
    /// `TILE_VERSION`: 1 GFX9, 2 GFX10, 3 GFX10 RB+, 4 GFX11, 5 GFX12; 0 older.
    pub tile_version: u8,
    /// `TILE`, whose meaning depends on the version.
    pub tile: u8,
    /// Delta colour compression.
    pub dcc: bool,
    /// A second, displayable copy of the DCC data.
    pub dcc_retile: bool,
    /// The DCC data is pipe-aligned.
    pub dcc_pipe_align: bool,
    /// Blocks of 64 bytes can be decompressed by themselves.
    pub dcc_independent_64b: bool,
    /// Blocks of 128 bytes can be decompressed by themselves.
    pub dcc_independent_128b: bool,
    /// Largest compressed block: 0 is 64, 1 is 128, 2 is 256 bytes.
    pub dcc_max_compressed_block: u8,
    /// No fast-clear elimination is needed.
    pub dcc_constant_encode: bool,
    /// Address bits that are mixed over pipes.
    pub pipe_xor_bits: u8,
    /// Address bits that are mixed over banks.
    pub bank_xor_bits: u8,
    /// Packers, as a power of two.
    pub packers: u8,
    /// Render backends, as a power of two.
    pub rb: u8,
    /// Pipes, as a power of two.
    pub pipe: u8,
}

impl AmdTiling {
    pub(super) const fn decode(value: u64) -> Self {
        const fn field(value: u64, shift: u32, bits: u32) -> u8 {
            ((value >> shift) & ((1 << bits) - 1)) as u8
        }
        Self {
            tile_version: field(value, 0, 8),
            tile: field(value, 8, 5),
            dcc: field(value, 13, 1) != 0,
            dcc_retile: field(value, 14, 1) != 0,
            dcc_pipe_align: field(value, 15, 1) != 0,
            dcc_independent_64b: field(value, 16, 1) != 0,
            dcc_independent_128b: field(value, 17, 1) != 0,
            dcc_max_compressed_block: field(value, 18, 2),
            dcc_constant_encode: field(value, 20, 1) != 0,
            pipe_xor_bits: field(value, 21, 3),
            bank_xor_bits: field(value, 24, 3),
            packers: field(value, 27, 3),
            rb: field(value, 30, 3),
            pipe: field(value, 33, 3),
        }
    }

    /// Planes that the compression adds. From GFX12 on it is transparent.
    pub(super) const fn aux_planes(self) -> usize {
        match (self.dcc && self.tile_version < 5, self.dcc_retile) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        }
    }
}

/// `AMD(GFX10_RBPLUS,64K_R_X,DCC,...)`
impl fmt::Display for AmdTiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.tile_version {
            1 => "GFX9",
            2 => "GFX10",
            3 => "GFX10_RBPLUS",
            4 => "GFX11",
            5 => "GFX12",
            _ => "",
        };
        match version {
            "" => write!(f, "AMD(VERSION={}", self.tile_version)?,
            version => write!(f, "AMD({version}")?,
        }
        let tile = match (self.tile_version, self.tile) {
            (5, 1) => "256B_2D",
            (5, 2) => "4K_2D",
            (5, 3) => "64K_2D",
            (5, 4) => "256K_2D",
            (1..=4, 9) => "64K_S",
            (1..=4, 10) => "64K_D",
            (1..=4, 25) => "64K_S_X",
            (1..=4, 26) => "64K_D_X",
            (1..=4, 27) => "64K_R_X",
            (4, 31) => "256K_R_X",
            _ => "",
        };
        match tile {
            "" => write!(f, ",TILE={}", self.tile)?,
            tile => write!(f, ",{tile}")?,
        }
        for (set, name) in [
            (self.dcc, "DCC"),
            (self.dcc_retile, "DCC_RETILE"),
            (self.dcc_pipe_align, "DCC_PIPE_ALIGN"),
            (self.dcc_independent_64b, "DCC_INDEPENDENT_64B"),
            (self.dcc_independent_128b, "DCC_INDEPENDENT_128B"),
            (self.dcc_constant_encode, "DCC_CONSTANT_ENCODE"),
        ] {
            if set {
                write!(f, ",{name}")?;
            }
        }
        if self.dcc {
            match self.dcc_max_compressed_block {
                block @ 0..=2 => write!(f, ",DCC_MAX_BLOCK={}B", 64 << block)?,
                block => write!(f, ",DCC_MAX_BLOCK=?{block}")?,
            }
        }
        for (value, name) in [
            (self.pipe_xor_bits, "PIPE_XOR_BITS"),
            (self.bank_xor_bits, "BANK_XOR_BITS"),
            (self.packers, "PACKERS"),
            (self.rb, "RB"),
            (self.pipe, "PIPE"),
        ] {
            if value != 0 {
                write!(f, ",{name}={value}")?;
            }
        }
        f.write_str(")")
    }
}

/// The fields of an NVIDIA block linear modifier (`DRM_FORMAT_MOD_NVIDIA_BLOCK_LINEAR_2D`;
/// with all but the height 0 also known as `16BX2_BLOCK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvidiaBlockLinear {
    /// Height of a block in GOBs, as a power of two.
    pub log2_gobs: u8,
    /// Page kind of the page tables.
    pub page_kind: u8,
    /// 0: Fermi to Volta, 1: G80 to GT2xx, 2: Turing and newer.
    pub gob_kind: u8,
    /// How sectors are laid out within a GOB.
    pub sector_layout: u8,
    /// Lossless compression: 0 none, 1 and 2 ROP, 3 and 4 CDE.
    pub compression: u8,
}

impl NvidiaBlockLinear {
    pub(super) const fn decode(value: u64) -> Option<Self> {
        if value & 0x10 == 0 {
            return None;
        }
        Some(Self {
            log2_gobs: (value & 0xf) as u8,
            page_kind: ((value >> 12) & 0xff) as u8,
            gob_kind: ((value >> 20) & 0x3) as u8,
            // A second bit, 26, came with Blackwell.
            sector_layout: (((value >> 22) & 1) | ((value >> 25) & 2)) as u8,
            compression: ((value >> 23) & 0x7) as u8,
        })
    }

    /// Rows of a GOB, which is always 64 bytes wide.
    pub const fn gob_rows(self) -> u32 {
        if self.gob_kind == 1 { 4 } else { 8 }
    }
}

impl fmt::Display for NvidiaBlockLinear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "NVIDIA_BLOCK_LINEAR_2D(h={},k={:#04x},g={},s={},c={})",
            self.log2_gobs, self.page_kind, self.gob_kind, self.sector_layout, self.compression
        )
    }
}

bitflags! {
    /// Options of ARM frame buffer compression.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AfbcFlags: u64 {
        /// A reversible colour transform before compression.
        const YTR = 1 << 4;
        /// Payloads are split in halves.
        const SPLIT = 1 << 5;
        /// Payloads lie at fixed places.
        const SPARSE = 1 << 6;
        /// Copy block restrict.
        const CBR = 1 << 7;
        /// Superblocks are grouped in tiles.
        const TILED = 1 << 8;
        /// Solid colour blocks.
        const SC = 1 << 9;
        /// Safe for front buffer rendering.
        const DB = 1 << 10;
        /// Content hints.
        const BCH = 1 << 11;
        /// Uncompressed storage.
        const USM = 1 << 12;
    }
}

/// The fields of an ARM AFBC modifier (`DRM_FORMAT_MOD_ARM_AFBC`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmAfbc {
    /// Size of a superblock: 1 16x16, 2 32x8, 3 64x4, 4 32x8 luma with 64x4 chroma.
    pub block_size: u8,
    /// The options.
    pub flags: AfbcFlags,
}

impl ArmAfbc {
    pub(super) const fn decode(value: u64) -> Option<Self> {
        // The type field: 0 is AFBC.
        if value >> 52 & 0xf != 0 {
            return None;
        }
        Some(Self {
            block_size: (value & 0xf) as u8,
            flags: AfbcFlags::from_bits_retain(value & 0x000f_ffff_ffff_fff0),
        })
    }
}

impl fmt::Display for ArmAfbc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.block_size {
            1 => f.write_str("ARM_AFBC(16x16")?,
            2 => f.write_str("ARM_AFBC(32x8")?,
            3 => f.write_str("ARM_AFBC(64x4")?,
            4 => f.write_str("ARM_AFBC(32x8_64x4")?,
            size => write!(f, "ARM_AFBC(BLOCK={size}")?,
        }
        for (name, _) in self.flags.iter_names() {
            write!(f, ",{name}")?;
        }
        let rest = self.flags.bits() & !AfbcFlags::all().bits();
        if rest != 0 {
            write!(f, ",{rest:#x}")?;
        }
        f.write_str(")")
    }
}
