//! Reads a line's JSON in one pass, and notes on the way what stands at the places that fields are mapped from.
//!
//! Reading lines is most of what the collector does, and three things make it cheap here: the line is text already, so nothing is
//! checked twice; a string is searched for its end eight bytes at a time; and what nobody reads is checked and passed over. Left
//! out is what lines seldom have: numbers that are no short integers, and strings with escapes of four digits, are handed to
//! sonic-rs.
//!
//! What is read has to be JSON as RFC 8259 has it, also where it is passed over. Of members of one name the last counts. It recurses
//! where JSON nests, so whoever gives it a text bounds that (`kong::depth`).

mod places;
mod scan;

use std::borrow::Cow;

use outrider_model::Text;
use sonic_rs::JsonNumberTrait as _;

use places::Node;
pub(crate) use places::{Found, Path, Slot, Wanted};

/// Deepest nesting of what is read and not passed over.
const DEPTH_MAX: u8 = 254;

/// A text is not JSON. It does not say where: nobody is told more than that of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// A value, or the beginning of one.
pub(crate) enum Begun<'de> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'de>),
    /// [`Reader::elements`] has to follow.
    List,
    /// [`Reader::members`] has to follow.
    Object,
}

/// A number, as an integer wherever it is one without a fraction and fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

/// Stands somewhere in a text.
pub(crate) struct Reader<'de, 'w> {
    text: &'de str,
    at: usize,
    depth_left: u8,
    /// What is wanted of the value that comes next. Nothing while it is read: an object has it for its members.
    node: Option<&'w Node>,
    found: Found<'de>,
}

impl<'de, 'w> Reader<'de, 'w> {
    /// Begins at the beginning of a text.
    pub(crate) fn new(text: &'de str, wanted: &'w Wanted) -> Self {
        let (node, found) = wanted.begin();
        Reader { text, at: 0, depth_left: DEPTH_MAX, node, found }
    }

    /// Ends where the text has to end, and says what it found.
    pub(crate) fn end(mut self) -> Result<Found<'de>> {
        match self.token() {
            None => Ok(self.found),
            Some(_) => Err(Malformed),
        }
    }

    /// Reads the next value, or its beginning.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Begun<'de>> {
        Ok(match self.token().ok_or(Malformed)? {
            b'"' => Begun::Text(self.string()?),
            b'{' => Begun::Object,
            b'[' => Begun::List,
            b'-' | b'0'..=b'9' => Begun::Number(self.number()?),
            b'n' => self.literal("null", Begun::Null)?,
            b't' => self.literal("true", Begun::Bool(true))?,
            b'f' => self.literal("false", Begun::Bool(false))?,
            _ => return Err(Malformed),
        })
    }

    /// Reads the members of the object that it stands at. `take` gets each name, and has to read or pass its value.
    #[inline(always)]
    pub(crate) fn members(&mut self, mut take: impl FnMut(&mut Self, Text<'de>) -> Result<()>) -> Result<()> {
        let node = self.node.take();
        self.deeper()?;
        let mut next = self.first(b'}');
        while next {
            if self.token() != Some(b'"') {
                return Err(Malformed);
            }
            let name = self.string()?;
            self.expect(b':')?;
            match node.and_then(|node| node.child(&name)) {
                None => take(self, name)?,
                Some(wanted) => {
                    self.token();
                    let start = self.at;
                    self.node = Some(wanted);
                    take(self, name)?;
                    self.node = None;
                    self.found.note(wanted, &self.text[start..self.at]);
                }
            }
            next = self.next(b'}')?;
        }
        self.depth_left += 1;
        Ok(())
    }

    /// Reads the elements of the list that it stands at, each of which `take` has to read or pass.
    #[inline(always)]
    pub(crate) fn elements(&mut self, mut take: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.node = None;
        self.deeper()?;
        let mut next = self.first(b']');
        while next {
            take(self)?;
            next = self.next(b']')?;
        }
        self.depth_left += 1;
        Ok(())
    }

    /// Checks the next value and goes past it, noting what is wanted of it.
    pub(crate) fn pass(&mut self) -> Result<()> {
        if self.token() == Some(b'{') && self.node.is_some() {
            return self.members(|reader, _| reader.pass());
        }
        self.node = None;
        self.at = scan::value_end(self.text.as_bytes(), self.at).ok_or(Malformed)?;
        Ok(())
    }

    /// The next value as it stands in the text.
    pub(crate) fn raw(&mut self) -> Result<&'de str> {
        self.token();
        let start = self.at;
        self.pass()?;
        Ok(&self.text[start..self.at])
    }

    /// The byte behind spaces, which stays to be read.
    #[inline(always)]
    fn token(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// Goes past this byte, which has to come behind spaces.
    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.token() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// Goes into an object or a list; whether it has anything in it.
    #[inline(always)]
    fn first(&mut self, end: u8) -> bool {
        self.at += 1;
        let is_empty = self.token() == Some(end);
        self.at += usize::from(is_empty);
        !is_empty
    }

    /// Goes behind what comes after a value; whether another one follows.
    #[inline(always)]
    fn next(&mut self, end: u8) -> Result<bool> {
        let byte = self.token();
        self.at += 1;
        match byte {
            Some(b',') => Ok(true),
            Some(byte) if byte == end => Ok(false),
            _ => Err(Malformed),
        }
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(Malformed)?;
        Ok(())
    }

    fn literal<T>(&mut self, literal: &str, value: T) -> Result<T> {
        if !self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            return Err(Malformed);
        }
        self.at += literal.len();
        Ok(value)
    }

    /// The string whose quote it stands at.
    #[inline(always)]
    fn string(&mut self) -> Result<Text<'de>> {
        let (text, start) = (self.text, self.at + 1);
        let end = scan::special(text.as_bytes(), start);
        if text.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Text::from(&text[start..end]));
        }
        self.string_with_escapes(start)
    }

    #[cold]
    fn string_with_escapes(&mut self, start: usize) -> Result<Text<'de>> {
        self.at = scan::string_end(self.text.as_bytes(), start).ok_or(Malformed)?;
        let string = &self.text[start - 1..self.at];
        match scan::unescaped(&string[1..string.len() - 1]) {
            Some(unescaped) => Ok(Text::from(unescaped)),
            None => sonic_rs::from_str::<Cow<'_, str>>(string)
                .map(|text| Text::from(text.into_owned()))
                .map_err(|_| Malformed),
        }
    }

    /// The number that it stands at.
    #[inline(always)]
    fn number(&mut self) -> Result<Number> {
        let start = self.at;
        self.at = scan::number_end(self.text.as_bytes(), start).ok_or(Malformed)?;
        let number = &self.text[start..self.at];
        scan::short_integer(number).map_or_else(|| long_number(number), |number| Ok(Number::Unsigned(number)))
    }
}

#[cold]
fn long_number(number: &str) -> Result<Number> {
    let number: sonic_rs::Number = sonic_rs::from_str(number).map_err(|_| Malformed)?;
    if let Some(unsigned) = number.as_u64() {
        return Ok(Number::Unsigned(unsigned));
    }
    number.as_i64().map(Number::Signed).or(number.as_f64().map(Number::Float)).ok_or(Malformed)
}

#[cfg(test)]
mod tests;
