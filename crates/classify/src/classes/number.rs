//! A number as people write it: groups of digits with a separator between them.

/// More digits than any number of a person has.
const DIGITS_MAX: usize = 24;

/// A French NIR is written in seven groups.
const GROUPS_MAX: usize = 8;

/// Between two groups there are at most so many bytes, as in `+49 (0) 151`.
const SEPARATOR_BYTES_MAX: usize = 3;

/// The groups of digits from one place on, and what is around them.
#[derive(Debug)]
pub(super) struct Number<'t> {
    text: &'t [u8],
    start: usize,
    digits: [u8; DIGITS_MAX],
    digit_count: usize,
    lengths: [u8; GROUPS_MAX],
    separators: [u8; GROUPS_MAX],
    ends: [usize; GROUPS_MAX],
    groups: usize,
    goes_on: bool,
    is_joined: bool,
}

impl<'t> Number<'t> {
    /// Reads from `start`, where a word of digits begins. What stands before `floor` is no part of it.
    pub(super) fn read(text: &'t [u8], floor: usize, start: usize) -> Self {
        let mut number = Number {
            text,
            start,
            digits: [0; DIGITS_MAX],
            digit_count: 0,
            lengths: [0; GROUPS_MAX],
            separators: [0; GROUPS_MAX],
            ends: [0; GROUPS_MAX],
            groups: 0,
            goes_on: false,
            is_joined: is_joined(text, floor, start),
        };
        let mut at = start;
        let mut separator = 0;
        while number.take_group(at, separator) {
            let end = number.end();
            let gap = text[end..].iter().take_while(|&&byte| is_separator(byte)).take(SEPARATOR_BYTES_MAX + 1).count();
            let goes_on = text.get(end + gap).is_some_and(u8::is_ascii_digit);
            if !goes_on || gap == 0 || gap > SEPARATOR_BYTES_MAX {
                break;
            }
            separator = if gap == 1 { text[end] } else { b'(' };
            at = end + gap;
        }
        number
    }

    /// Takes one more group unless it belongs to a word with letters or is one too many.
    fn take_group(&mut self, at: usize, separator: u8) -> bool {
        let room = DIGITS_MAX - self.digit_count;
        let length = self.text[at..].iter().take_while(|byte| byte.is_ascii_digit()).take(room + 1).count();
        let is_attached = self.text.get(at + length).is_some_and(u8::is_ascii_alphabetic)
            && extension_length(&self.text[at + length..]).is_none();
        if is_attached || length > room || self.groups == GROUPS_MAX {
            self.goes_on = true;
            return false;
        }
        for &digit in &self.text[at..at + length] {
            self.digits[self.digit_count] = digit - b'0';
            self.digit_count += 1;
        }
        // At most `DIGITS_MAX`, so it fits.
        self.lengths[self.groups] = length as u8;
        self.separators[self.groups] = separator;
        self.ends[self.groups] = at + length;
        self.groups += 1;
        true
    }

    /// The values of all its digits.
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.digit_count]
    }

    /// The lengths of its groups.
    pub(super) fn groups(&self) -> &[u8] {
        &self.lengths[..self.groups]
    }

    /// The separators between its groups; `(` for one of several bytes.
    pub(super) fn separators(&self) -> &[u8] {
        &self.separators[self.groups.min(1)..self.groups]
    }

    /// Its first groups, this many, as if nothing came after: their digits, the separators between them, and their end.
    pub(super) fn first(&self, count: usize) -> Option<(&[u8], &[u8], usize)> {
        let end = *self.ends[..self.groups].get(count.checked_sub(1)?)?;
        let digits = self.lengths[..count].iter().map(|&length| usize::from(length)).sum();
        Some((&self.digits[..digits], &self.separators[1..count], end))
    }

    /// Offset of its first digit.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Offset behind its last digit.
    pub(super) fn end(&self) -> usize {
        self.groups.checked_sub(1).map_or(self.start, |last| self.ends[last])
    }

    /// The bytes before its first digit.
    pub(super) fn before(&self) -> &[u8] {
        &self.text[..self.start]
    }

    /// The bytes behind offset `end`.
    pub(super) fn after(&self, end: usize) -> &[u8] {
        &self.text[end..]
    }

    /// No letter, digit or further group belongs to it, before or behind.
    pub(super) fn is_whole(&self) -> bool {
        !self.goes_on && !self.is_joined
    }

    /// The first group is this long and no part of a decimal fraction: its digits and its end.
    pub(super) fn bare(&self, length: usize) -> Option<(&[u8], usize)> {
        if usize::from(*self.groups().first()?) != length || is_fraction(self.text, self.start, self.ends[0]) {
            return None;
        }
        Some((&self.digits[..length], self.ends[0]))
    }

    /// It begins with groups of these lengths, with this separator between them: their digits and their end.
    pub(super) fn grouped(&self, lengths: &[u8], separator: u8) -> Option<(&[u8], usize)> {
        let count = lengths.len();
        if self.groups < count || self.groups()[..count] != *lengths {
            return None;
        }
        if self.separators[1..count].iter().any(|&found| found != separator) {
            return None;
        }
        let digits = lengths.iter().map(|&length| usize::from(length)).sum();
        Some((&self.digits[..digits], self.ends[count - 1]))
    }

    /// As [`Number::grouped`], and there is nothing more to it.
    pub(super) fn written(&self, lengths: &[u8], separator: u8) -> Option<(&[u8], usize)> {
        self.grouped(lengths, separator).filter(|_| self.is_whole() && self.groups == lengths.len())
    }
}

/// `x123` behind a telephone number, without whatever is no extension.
pub(super) fn extension_length(text: &[u8]) -> Option<usize> {
    const DIGITS: std::ops::RangeInclusive<usize> = 1..=6;
    let digits = text.strip_prefix(b"x").or_else(|| text.strip_prefix(b"X"))?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_word = !digits.get(length).is_some_and(u8::is_ascii_alphanumeric);
    (DIGITS.contains(&length) && is_word).then_some(length + 1)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'(' | b')')
}

/// `12-345` has no number that begins with 345.
fn is_joined(text: &[u8], floor: usize, start: usize) -> bool {
    let Some(before) = start.checked_sub(2).filter(|&before| before >= floor) else {
        return false;
    };
    match text[before + 1] {
        b'-' | b'_' | b'.' => text[before].is_ascii_alphanumeric(),
        b' ' => text[before].is_ascii_digit(),
        _ => false,
    }
}

fn is_fraction(text: &[u8], start: usize, end: usize) -> bool {
    let point_before = start >= 2 && text[start - 1] == b'.' && text[start - 2].is_ascii_digit();
    let point_after = text.get(end) == Some(&b'.') && text.get(end + 1).is_some_and(u8::is_ascii_digit);
    point_before || point_after
}

/// Whether the last digit is that of Luhn (ISO/IEC 7812-1, annex B).
pub(crate) fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, digit) {
            (0, digit) => u32::from(digit),
            (_, digit @ 0..=4) => u32::from(digit) * 2,
            (_, digit) => u32::from(digit) * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The sum of digits times weights.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(&digit, weight)| u32::from(digit) * weight).sum()
}

/// All digits are the same, which passes many a checksum and is nobody's.
pub(super) fn is_uniform(digits: &[u8]) -> bool {
    digits.iter().all(|digit| Some(digit) == digits.first())
}
