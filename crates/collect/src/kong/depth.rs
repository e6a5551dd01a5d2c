//! Refuses nesting that no gateway writes, before the JSON library recurses into it.
//!
//! sonic-rs skips unneeded values by recursion without a limit of its own, so a line of a million `[` would overflow the
//! stack. A short line cannot nest deep enough to matter; a long one is measured.

/// Deepest nesting read. Kong's own lines nest 5 deep.
pub(crate) const DEPTH_MAX: usize = 64;

/// Lines up to this length are not measured, which spares most lines the scan: skipping them takes less than 1 MiB of stack
/// however they nest, half of what a thread has by default.
pub(crate) const SAFE_BYTES: usize = 4096;

/// Whether the line nests deeper than is read.
pub(crate) fn is_too_deep(line: &[u8]) -> bool {
    line.len() > SAFE_BYTES && openers(line) > DEPTH_MAX && depth(line) > DEPTH_MAX
}

/// How many `[` and `{` there are, strings included: an upper bound of the depth, at the speed of a memory scan.
fn openers(line: &[u8]) -> usize {
    // `[` is 0x5b and `{` is 0x7b: one bit apart. A chunk of 255 cannot overflow its byte, which lets it run in lanes;
    // so does `wrapping_add`, for the overflow check would not.
    let in_chunk = |chunk: &[u8]| chunk.iter().fold(0u8, |sum, byte| sum.wrapping_add(u8::from(byte | 0x20 == b'{')));
    line.chunks(255).map(|chunk| usize::from(in_chunk(chunk))).sum()
}

/// Depth of nesting, strings left out.
fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0usize, 0usize, 0usize);
    while let Some(&byte) = line.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                at += 1;
                while let Some(offset) = line.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
                    at += offset;
                    if line[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
            }
            _ => {}
        }
        at += 1;
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_nesting_counts() {
        let padding = "x".repeat(SAFE_BYTES);
        let nested = |depth: usize| format!("\"{padding}\"{}{}", "[".repeat(depth), "]".repeat(depth));
        let in_string = format!("[\"{}\\\"{}\"]", "[".repeat(4000), "{".repeat(4000));
        let wide = format!("[{}]", "[],".repeat(4000));
        for (line, expected) in [
            (nested(DEPTH_MAX), false),
            (nested(DEPTH_MAX + 1), true),
            ("[".repeat(200_000), true),
            ("{\"a\":".repeat(50_000), true),
            (in_string, false),
            (wide, false),
            (String::new(), false),
            (format!("{}\"\\", "[".repeat(5000)), true),
        ] {
            assert_eq!(is_too_deep(line.as_bytes()), expected, "{}", &line[..line.len().min(80)]);
        }
    }
}
