//! Whether the path of a route may take calls of a template.
//!
//! A route takes every path that begins as it says, so the question is whether some path of the template does: its texts as they
//! are, and anything but a slash for a parameter. The route's path becomes a small automaton that walks along the template. Expressions
//! are read by the library with which Kong's router compares them. Letter case makes no difference, because a template is written as
//! it was seen first. What cannot be read or is too large may take anything, for no difference is told that is none.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{self, Hir, HirKind, Look};

use crate::hints::{Class, PATH_BYTES_MAX};
use crate::template::{Segment, segments};

/// States of one path's automaton.
const STATES_MAX: usize = 8192;

/// Different classes of letters in one path.
const CLASSES_MAX: usize = 256;

/// States of all automata of a service with the ranges of letters that their classes have, of 8 bytes each: `\w` has some 800, and is held
/// once for each path that asks for it.
pub(super) const RANGES_MAX: usize = 2_000_000;

/// Steps along templates, over all endpoints and routes of a service.
pub(super) const STEPS_MAX: usize = 100_000_000;

/// A template as what is walked along: of its texts each letter, of a parameter `None`.
pub(super) struct Walk(Vec<Option<char>>);

/// What the path of one route takes.
pub(super) enum Takes {
    Anything,
    Those(Automaton),
}

/// Where each of its states leads to.
pub(super) struct Automaton {
    states: Vec<State>,
    classes: Vec<Class>,
    start: usize,
}

enum State {
    /// On with a letter of the class in this place; one without letters leads nowhere.
    Letter(usize, usize),
    /// On to each of these, without a letter.
    Either(Vec<usize>),
    /// On at the begin of the path alone.
    AtStart(usize),
    /// On at the end of the path alone.
    AtEnd(usize),
    Done,
}

impl Walk {
    pub fn along(template: &str) -> Walk {
        let mut letters = Vec::new();
        let segments: Vec<Segment> = segments(template);
        for segment in &segments {
            letters.push(Some('/'));
            for (at, text) in segment.texts().iter().enumerate() {
                letters.extend((at > 0).then_some(None));
                letters.extend(text.chars().map(Some));
            }
        }
        if segments.is_empty() {
            letters.push(Some('/'));
        }
        Walk(letters)
    }
}

impl Takes {
    /// Reads the path of a route; with a leading `~` it is a regular expression.
    /// `ranges_left` is what is left of [`RANGES_MAX`].
    pub fn of(path: &str, ranges_left: &mut usize) -> Takes {
        if path.len() > PATH_BYTES_MAX {
            return Takes::Anything;
        }
        let expression = match path.strip_prefix('~') {
            Some(expression) => expression.to_owned(),
            None => {
                let mut text: String = segments(path).iter().map(|segment| format!("/{}", segment.written())).collect();
                // The slash at the end of `/a/` is asked for.
                text.extend((path.ends_with('/') || text.is_empty()).then_some('/'));
                regex_syntax::escape(&text)
            }
        };
        // Kong writes `^` in front and no group around it, so of `/a|/b` only `/a` has to stand at the begin.
        let read = ParserBuilder::new().case_insensitive(true).build().parse(&format!("^{expression}"));
        let automaton = read.ok().and_then(|expression| Automaton::of(&expression, ranges_left));
        automaton.map_or(Takes::Anything, Takes::Those)
    }

    /// Whether it may take some path of a template; also where there are no steps left to see that.
    pub fn may_take(&self, walk: &Walk, steps_left: &mut usize) -> bool {
        match self {
            Takes::Anything => true,
            Takes::Those(automaton) => automaton.may_take(walk, steps_left),
        }
    }
}

impl Automaton {
    /// `None` where it would be too large.
    fn of(expression: &Hir, ranges_left: &mut usize) -> Option<Automaton> {
        let mut automaton = Automaton { states: vec![State::Done], classes: Vec::new(), start: 0 };
        let start = automaton.before(expression, 0)?;
        // What comes before the begin of a match.
        let any = automaton.class(Class::any())?;
        let before = automaton.add(State::Either(vec![start]))?;
        let letter = automaton.add(State::Letter(any, before))?;
        if let State::Either(ways) = &mut automaton.states[before] {
            ways.push(letter);
        }
        automaton.start = before;
        let ranges: usize = automaton.classes.iter().map(Class::ranges).sum();
        *ranges_left = ranges_left.checked_sub(automaton.states.len() + ranges)?;
        Some(automaton)
    }

    /// The place of a class. An expression has few of them.
    fn class(&mut self, class: Class) -> Option<usize> {
        let known = self.classes.iter().position(|known| *known == class);
        let at = known.unwrap_or(self.classes.len());
        if known.is_none() {
            self.classes.push(class);
        }
        (at < CLASSES_MAX).then_some(at)
    }

    fn add(&mut self, state: State) -> Option<usize> {
        self.states.push(state);
        (self.states.len() <= STATES_MAX).then(|| self.states.len() - 1)
    }

    /// The state from which an expression leads to the next one.
    fn before(&mut self, expression: &Hir, next: usize) -> Option<usize> {
        match expression.kind() {
            HirKind::Empty => Some(next),
            HirKind::Literal(text) => {
                let text = std::str::from_utf8(&text.0).ok()?;
                text.chars().rev().try_fold(next, |next, letter| {
                    let class = self.class(Class::one(letter))?;
                    self.add(State::Letter(class, next))
                })
            }
            HirKind::Class(hir::Class::Unicode(class)) => {
                let class = self.class(Class::of(class.clone()))?;
                self.add(State::Letter(class, next))
            }
            HirKind::Class(hir::Class::Bytes(_)) => None,
            HirKind::Look(Look::Start) => self.add(State::AtStart(next)),
            HirKind::Look(Look::End) => self.add(State::AtEnd(next)),
            // Whether a word ends somewhere is not looked at: it may.
            HirKind::Look(_) => Some(next),
            HirKind::Capture(capture) => self.before(&capture.sub, next),
            HirKind::Concat(parts) => parts.iter().rev().try_fold(next, |next, part| self.before(part, next)),
            HirKind::Alternation(parts) => {
                let ways = parts.iter().map(|part| self.before(part, next)).collect::<Option<Vec<usize>>>()?;
                self.add(State::Either(ways))
            }
            HirKind::Repetition(repetition) => {
                let mut next = next;
                match repetition.max {
                    Some(max) => {
                        let end = next;
                        for _ in repetition.min..max {
                            let once = self.before(&repetition.sub, next)?;
                            next = self.add(State::Either(vec![once, end]))?;
                        }
                    }
                    None => {
                        let again = self.add(State::Either(vec![next]))?;
                        let once = self.before(&repetition.sub, again)?;
                        if let State::Either(ways) = &mut self.states[again] {
                            ways.push(once);
                        }
                        next = again;
                    }
                }
                (0..repetition.min).try_fold(next, |next, _| self.before(&repetition.sub, next))
            }
        }
    }

    fn may_take(&self, walk: &Walk, steps_left: &mut usize) -> bool {
        *steps_left = steps_left.saturating_sub(self.states.len());
        let mut at = Places::new(self.states.len());
        let mut next = Places::new(self.states.len());
        self.arrive(&mut at, self.start, true, false);
        for (index, letter) in walk.0.iter().enumerate() {
            let is_last = index + 1 == walk.0.len();
            if at.is_done {
                return true;
            }
            if at.letters.is_empty() {
                return false;
            }
            let is_on = |class: usize| match letter {
                Some(letter) => self.classes[class].has(*letter),
                None => self.classes[class].has_any_but('/'),
            };
            next.clear();
            // A parameter has one letter or more, so each place that one leads to is where another may begin.
            let mut looked = 0;
            while let Some(&state) = at.letters.get(looked) {
                looked += 1;
                if let State::Letter(class, on) = &self.states[state]
                    && is_on(*class)
                {
                    self.arrive(&mut next, *on, false, is_last);
                    if letter.is_none() {
                        self.arrive(&mut at, *on, false, false);
                    }
                }
            }
            *steps_left = steps_left.saturating_sub(looked + std::mem::take(&mut next.steps));
            if *steps_left == 0 {
                return true;
            }
            std::mem::swap(&mut at, &mut next);
        }
        // A template leaves out a slash at the end, which calls may have had.
        let slash = at.letters.iter().filter_map(|&state| match &self.states[state] {
            State::Letter(class, on) if self.classes[*class].has('/') => Some(*on),
            _ => None,
        });
        next.clear();
        for on in slash.collect::<Vec<usize>>() {
            self.arrive(&mut next, on, false, true);
        }
        at.is_done || next.is_done
    }

    /// Notes all that a state leads to without a letter.
    fn arrive(&self, at: &mut Places, state: usize, is_start: bool, is_end: bool) {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            at.steps += 1;
            if !at.enter(state) {
                continue;
            }
            match &self.states[state] {
                State::Letter(..) => at.letters.push(state),
                State::Either(ways) => open.extend(ways),
                State::AtStart(on) => open.extend(is_start.then_some(on)),
                State::AtEnd(on) => open.extend(is_end.then_some(on)),
                State::Done => at.is_done = true,
            }
        }
    }
}

/// The states that a walk is in.
struct Places {
    /// When each was entered last.
    entered: Vec<u32>,
    now: u32,
    /// Those that go on with a letter.
    letters: Vec<usize>,
    is_done: bool,
    /// What finding out has cost.
    steps: usize,
}

impl Places {
    fn new(states: usize) -> Self {
        Places { entered: vec![0; states], now: 1, letters: Vec::new(), is_done: false, steps: 0 }
    }

    fn clear(&mut self) {
        self.now += 1;
        self.letters.clear();
        self.is_done = false;
    }

    fn enter(&mut self, state: usize) -> bool {
        std::mem::replace(&mut self.entered[state], self.now) != self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_take(path: &str, template: &str) -> bool {
        Takes::of(path, &mut RANGES_MAX.clone()).may_take(&Walk::along(template), &mut STEPS_MAX.clone())
    }

    #[test]
    fn a_path_takes_a_template_where_it_takes_some_path_of_it() {
        for (path, template, expected) in [
            ("/", "/orders", true),
            ("/", "/", true),
            ("/orders", "/orders/{order_id}", true),
            ("/orders", "/ordersheet", true),
            ("/orders", "/", false),
            ("/orders", "/Orders", true),
            ("/orders/", "/orders", true),
            ("/orders/", "/ordersheet", false),
            ("/orders/7/items", "/orders/{order_id}", false),
            ("/orders/7/items", "/orders/{order_id}/items/{item_id}", true),
            ("/orders/7/items", "/{a}/{b}/{c}", true),
            ("/a.b(c)", "/a.b(c)", true),
            ("/a.b", "/axb", false),
            ("/a%20b", "/a b/c", true),
            (r"~/orders/\d+$", "/orders/{order_id}", true),
            (r"~/orders/\d+$", "/orders/12", true),
            (r"~/orders/\d+$", "/orders/me", false),
            (r"~/orders/\d+$", "/orders/{order_id}/items", false),
            (r"~/orders/\d+", "/orders/{order_id}/items", true),
            (r"~/orders/\d+/$", "/orders/{order_id}", true),
            (r"~^/orders$", "/orders", true),
            (r"~/x/^orders$", "/x/orders", false),
            (r"~/orders$", "/orders#Cancel", true),
            (r"~/(?<version>v\d+)/users/(?<id>[^/]+)$", "/v2/users/{user_id}", true),
            (r"~/(?<version>v\d+)/users/(?<id>[^/]+)$", "/users/{user_id}", false),
            (r"~/(?<version>v\d+)/users/(?<id>[^/]+)$", "/{version}/users/me", true),
            (r"~/report-(\d+)\.csv$", "/report-{id}.csv", true),
            (r"~/report-(\d+)\.csv$", "/{file}", true),
            (r"~/report-(\d+)\.csv$", "/report-{id}.json", false),
            (r"~/a|/b", "/b/c", true),
            (r"~/a|/b", "/c", false),
            (r"~/a|/b", "/x/b", true),
            (r"~/a|/b", "/x/a", false),
            (r"~(/a|/b)", "/x/b", false),
            (r"~/a$|^/b$|/c$", "/x/c", true),
            (r"~/a$|^/b$|/c$", "/x/b", false),
            (r"~/files/.+\.pdf$", "/files/{folder}/{file}", true),
            (r"~/files/.+\.pdf$", "/files/{folder}/index.html", false),
            (r"~/(daily|weekly)/x", "/daily/x", true),
            (r"~/(daily|weekly)/x", "/monthly/x", false),
            (r"~/(daily|weekly)/x", "/{period}/x", true),
            (r"~/users(?:/(?<id>\d+))?$", "/users", true),
            (r"~/users(?:/(?<id>\d+))?$", "/users/{user_id}", true),
            (r"~/users(?:/(?<id>\d+))?$", "/users/{user_id}/orders", false),
            (r"~/x/[0-9a-f]{2,4}$", "/x/abcd", true),
            (r"~/x/[0-9a-f]{2,4}$", "/x/abcde", false),
            (r"~/x/[0-9a-f]{2,4}$", "/x/a", false),
            (r"~/x/[0-9a-f]+-[0-9a-f]*$", "/x/ab-", true),
            (r"~/(a*)*b", "/aaab", true),
            (r"~/é+$", "/éé", true),
            // A slash cannot be in a parameter.
            (r"~/a//b", "/a/{id}", false),
            (r"~/a/[/]", "/a/{id}", false),
            // What cannot be read may take anything.
            (r"~/(?=a)b", "/c", true),
            (r"~/(", "/c", true),
            (r"~/a{5000}{5000}", "/c", true),
        ] {
            assert_eq!(may_take(path, template), expected, "{path} {template}");
        }
    }

    #[test]
    fn walking_costs_no_more_than_it_may() {
        let takes = Takes::of(r"~/(([a-z]*)*/)*//", &mut RANGES_MAX.clone());
        let template = format!("/{}", "{a}/".repeat(20));
        let walk = Walk::along(&template);
        assert!(!takes.may_take(&walk, &mut 100_000));
        let mut steps_left = 100;
        assert!(takes.may_take(&walk, &mut steps_left), "what was not looked for may be there");
        assert_eq!(steps_left, 0);
    }

    #[test]
    fn all_automata_together_have_a_limit() {
        let mut ranges_left = RANGES_MAX;
        let held: Vec<Takes> = (0..4000).map(|_| Takes::of(r"~/\w{1,4000}$", &mut ranges_left)).collect();
        let read = held.iter().filter(|takes| matches!(takes, Takes::Those(_))).count();
        assert!((100..1000).contains(&read), "{read}");
        assert!(ranges_left < 20_000, "{ranges_left}");
        assert!(
            held[3999].may_take(&Walk::along("/{a}/b"), &mut STEPS_MAX.clone()),
            "what was not read may take anything"
        );
        assert!(!held[0].may_take(&Walk::along("/{a}/b"), &mut STEPS_MAX.clone()));
    }
}
