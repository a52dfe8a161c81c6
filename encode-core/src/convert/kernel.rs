//! The inner loops, compiled once per instruction set by `multiversion` and
//! vectorised by the compiler. They work on rows of 16-bit components.
//!
//! The hot ones count through slices cut to one length: chains of `zip` are
//! not inlined into functions of another instruction set and lose the
//! knowledge that outputs do not overlap.
#![allow(clippy::needless_range_loop)]

use multiversion::multiversion;

use super::quantizer::Quantizer;

/// Splits 32-bit pixels into components.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn split32(
    pixels: &[u8],
    shifts: [u32; 3],
    mask: u32,
    red: &mut [u16],
    green: &mut [u16],
    blue: &mut [u16],
) {
    let [red_shift, green_shift, blue_shift] = shifts;
    let (pixels, _) = pixels.as_chunks::<4>();
    let count = pixels.len().min(red.len()).min(green.len()).min(blue.len());
    let (pixels, red) = (&pixels[..count], &mut red[..count]);
    let (green, blue) = (&mut green[..count], &mut blue[..count]);
    for i in 0..count {
        let pixel = u32::from_le_bytes(pixels[i]);
        red[i] = ((pixel >> red_shift) & mask) as u16;
        green[i] = ((pixel >> green_shift) & mask) as u16;
        blue[i] = ((pixel >> blue_shift) & mask) as u16;
    }
}

/// Splits 24-bit pixels; `swapped` where red is the first byte.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn split24(
    pixels: &[u8],
    swapped: bool,
    red: &mut [u16],
    green: &mut [u16],
    blue: &mut [u16],
) {
    let (pixels, _) = pixels.as_chunks::<3>();
    let (first, last) = if swapped { (red, blue) } else { (blue, red) };
    for (((pixel, a), g), z) in pixels.iter().zip(first).zip(green).zip(last) {
        *a = u16::from(pixel[0]);
        *g = u16::from(pixel[1]);
        *z = u16::from(pixel[2]);
    }
}

/// Splits 5:6:5 pixels and widens the components to 8 bits; `swapped` where
/// blue is in the upper bits.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn split565(
    pixels: &[u8],
    swapped: bool,
    red: &mut [u16],
    green: &mut [u16],
    blue: &mut [u16],
) {
    let (pixels, _) = pixels.as_chunks::<2>();
    let (low, high) = if swapped { (red, blue) } else { (blue, red) };
    for (((pixel, l), g), h) in pixels.iter().zip(low).zip(green).zip(high) {
        let pixel = u16::from_le_bytes(*pixel);
        let (five_low, six, five_high) = (pixel & 31, (pixel >> 5) & 63, pixel >> 11);
        *l = (five_low << 3) | (five_low >> 2);
        *g = (six << 2) | (six >> 4);
        *h = (five_high << 3) | (five_high >> 2);
    }
}

/// One output component of a row.
pub(super) fn quantize(q: &Quantizer, red: &[u16], green: &[u16], blue: &[u16], out: &mut [u8]) {
    if q.narrow {
        quantize_narrow(q, red, green, blue, out);
    } else {
        quantize_wide(q, red, green, blue, out);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn quantize_narrow(q: &Quantizer, red: &[u16], green: &[u16], blue: &[u16], out: &mut [u8]) {
    let [wr, wg, wb] = q.weights.map(|w| i32::from(w).wrapping_mul(q.scale as i32));
    let (bias, tie) = (q.bias as u32, q.tie as i32);
    let divisor = q.divisor as u32;
    let (pre_shift, reciprocal, post_shift) = (q.pre_shift, q.reciprocal, q.post_shift);
    let count = out.len().min(red.len()).min(green.len()).min(blue.len());
    let (out, red) = (&mut out[..count], &red[..count]);
    let (green, blue) = (&green[..count], &blue[..count]);
    for i in 0..count {
        let sum = (i32::from(red[i]).wrapping_mul(wr))
            .wrapping_add(i32::from(green[i]).wrapping_mul(wg))
            .wrapping_add(i32::from(blue[i]).wrapping_mul(wb));
        let x = (sum.wrapping_sub((sum >> 31) & tie) as u32).wrapping_add(bias);
        let estimate = (x >> pre_shift).wrapping_mul(reciprocal) >> post_shift;
        let remainder = x.wrapping_sub(estimate.wrapping_mul(divisor));
        let quotient = estimate + u32::from(remainder as i32 >= divisor as i32);
        // Pure blue in full range is 255.5: clipped, as H.273 says.
        out[i] = quotient.min(255) as u8;
    }
}

fn quantize_wide(q: &Quantizer, red: &[u16], green: &[u16], blue: &[u16], out: &mut [u8]) {
    let [wr, wg, wb] = q.weights.map(i64::from);
    for (((out, r), g), b) in out.iter_mut().zip(red).zip(green).zip(blue) {
        let sum = i64::from(*r) * wr + i64::from(*g) * wg + i64::from(*b) * wb;
        let x = sum * q.scale + q.bias - ((sum >> 63) & q.tie);
        *out = (x / q.divisor).clamp(0, 255) as u8;
    }
}

/// Sums of two rows, across by `[1 2 1]` around the even columns: the row
/// slices begin one column left of the first even one. `odd` is scratch.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn fold_left(upper: &[u16], lower: &[u16], odd: &mut [u16], out: &mut [u16]) {
    let pairs = out.len();
    fold_pairs(upper, lower, odd, out);
    let (Some(before), Some(after)) = (odd.get(..pairs), odd.get(1..=pairs)) else {
        return;
    };
    for ((sum, before), after) in out.iter_mut().zip(before).zip(after) {
        *sum = 2 * *sum + before + after;
    }
}

/// Sums of two by two; slices as in [`fold_left`].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn fold_center(upper: &[u16], lower: &[u16], odd: &mut [u16], out: &mut [u16]) {
    let pairs = out.len();
    fold_pairs(upper, lower, odd, out);
    let Some(after) = odd.get(1..=pairs) else {
        return;
    };
    for (sum, after) in out.iter_mut().zip(after) {
        *sum += after;
    }
}

/// Adds the rows and parts the columns: `odd[i]` is left of `even[i]`, and
/// `odd` has one more.
#[inline(always)]
fn fold_pairs(upper: &[u16], lower: &[u16], odd: &mut [u16], even: &mut [u16]) {
    let (uppers, upper_rest) = upper.as_chunks::<2>();
    let (lowers, lower_rest) = lower.as_chunks::<2>();
    let pairs = even.len();
    for (((u, l), o), e) in uppers.iter().zip(lowers).zip(odd.iter_mut()).zip(even) {
        *o = u[0] + l[0];
        *e = u[1] + l[1];
    }
    if let (Some(last), Some(u), Some(l)) =
        (odd.get_mut(pairs), upper_rest.first(), lower_rest.first())
    {
        *last = u + l;
    }
}

/// Weaves two rows into one of pairs.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn interleave(first: &[u8], second: &[u8], out: &mut [u8]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for ((pair, a), b) in pairs.iter_mut().zip(first).zip(second) {
        *pair = [*a, *b];
    }
}

/// The reverse of [`interleave`].
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn deinterleave(pairs: &[u8], first: &mut [u8], second: &mut [u8]) {
    let (pairs, _) = pairs.as_chunks::<2>();
    for ((pair, a), b) in pairs.iter().zip(first).zip(second) {
        *a = pair[0];
        *b = pair[1];
    }
}

/// Copies pairs with their halves exchanged: NV21 to NV12.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn swap_pairs(pairs: &[u8], out: &mut [u8]) {
    let (pairs, _) = pairs.as_chunks::<2>();
    let (outs, _) = out.as_chunks_mut::<2>();
    for (out, pair) in outs.iter_mut().zip(pairs) {
        *out = [pair[1], pair[0]];
    }
}
