//! How a line of cells is compared with a hash's fingerprint at once.
//!
//! On `x86_64` by SSE2, which every such processor has. A vector load is no atomic operation of the language, so it is written in assembly. Of
//! each cell two bytes are used, the two at the top, which are one aligned unit: the processor never tears that. Elsewhere, and
//! with `--cfg tierstack_portable`, each cell is loaded and compared by itself.

use super::line::{Line, Open};

/// The cells of the line that are open to that hash.
#[cfg(not(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_feature = "sse2",
    not(any(tierstack_portable, tierstack_loom, tierstack_shuttle, fuzzing, miri))
)))]
#[inline]
pub fn open<N>(line: &Line<N>, hash: u64) -> Open {
    #[cfg(tierstack_loom)]
    if !model::IS_COMPARED.get() {
        return Open::ALL;
    }
    line.open_by_cell(hash)
}

#[cfg(tierstack_loom)]
pub mod model {
    use std::cell::Cell;

    thread_local! {
        /// Whether lines are compared, in models that run on this thread of the system. Where they are not, all cells are open: that is as if all had one
        /// fingerprint, and spares the schedules in which it matters how old a look is.
        pub static IS_COMPARED: Cell<bool> = const { Cell::new(false) };
    }
}

/// The cells of the line that are open to that hash.
#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_feature = "sse2",
    not(any(tierstack_portable, tierstack_loom, tierstack_shuttle, fuzzing, miri))
))]
#[inline]
pub fn open<N>(line: &Line<N>, hash: u64) -> Open {
    let (one, two, three, four);
    // SAFETY: it loads the line, which is aligned to its 64 bytes and consists of atomics, and changes nothing.
    unsafe {
        core::arch::asm!(
            "movaps {one}, [{line}]",
            "movaps {two}, [{line} + 16]",
            "movaps {three}, [{line} + 32]",
            "movaps {four}, [{line} + 48]",
            line = in(reg) &raw const *line,
            one = out(xmm_reg) one,
            two = out(xmm_reg) two,
            three = out(xmm_reg) three,
            four = out(xmm_reg) four,
            options(nostack, readonly, preserves_flags),
        );
    }
    // SAFETY: the platform has SSE2.
    unsafe { x86::open([one, two, three, four], super::cell::top_of_class(hash)) }
}

#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_feature = "sse2",
    not(any(tierstack_portable, tierstack_loom, tierstack_shuttle, fuzzing, miri))
))]
mod x86 {
    use core::arch::x86_64::{
        __m128, _mm_castps_si128, _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_or_si128, _mm_packs_epi16, _mm_packs_epi32,
        _mm_set1_epi16, _mm_setzero_si128, _mm_shuffle_ps, _mm_srai_epi32,
    };

    use super::Open;

    /// The upper half of each of two cells, in each of two vectors.
    const UPPER: i32 = 0b11_01_11_01;

    /// Of eight cells, two in a vector, those that have the fingerprint at their top, or nothing.
    #[target_feature(enable = "sse2")]
    #[inline]
    pub fn open(cells: [__m128; 4], print: i16) -> Open {
        let [one, two, three, four] = cells;
        // The shift keeps the sign, so that packing changes nothing.
        let low = _mm_srai_epi32::<16>(_mm_castps_si128(_mm_shuffle_ps::<UPPER>(one, two)));
        let high = _mm_srai_epi32::<16>(_mm_castps_si128(_mm_shuffle_ps::<UPPER>(three, four)));
        let tops = _mm_packs_epi32(low, high);
        let nothing = _mm_setzero_si128();
        let open = _mm_or_si128(_mm_cmpeq_epi16(tops, _mm_set1_epi16(print)), _mm_cmpeq_epi16(tops, nothing));
        Open(_mm_movemask_epi8(_mm_packs_epi16(open, nothing)).cast_unsigned())
    }
}
