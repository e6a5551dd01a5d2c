//! Expressions in CEL: compiled and checked at the start, evaluated for each line.
//!
//! The language is the standard one with the library's `strings`. Left out is what lets a short expression make much of a
//! little input, as the library bounds neither steps nor memory: a comprehension inside of another or over the result of another, and functions that
//! repeat a text. So the work for a line is at most what [`super::input`] gives times the length of the expression.

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Env, ExecutionError, Program, extensions};

use super::input::Input;
use super::values::{self, Values};
use super::wanted::{Found, Path, Wanted};
use super::{FieldFailure, Problem};
use crate::CollectError;

/// Longest expression, in bytes.
const EXPRESSION_BYTES_MAX: usize = 1024;
/// The variable that an expression is about.
const LINE: &str = "line";

/// Operators and functions that may be used anywhere.
const CHEAP: [&str; 22] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::NOT_STRICTLY_FALSE,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::IN,
    operators::INDEX,
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "lowerAscii",
    "upperAscii",
    "trim",
    "string",
    "int",
];
/// Those that may be used outside of a comprehension, besides.
const OTHERS: [&str; 13] = [
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    "split",
    "indexOf",
    "lastIndexOf",
    "substring",
    "charAt",
    "double",
    "bool",
];

/// Compiles the expressions of one source.
pub(super) struct Compiler<'s> {
    env: Arc<Env>,
    secret_field: &'s str,
}

/// What an expression turned out to be.
pub(super) enum Compiled {
    /// It names a place in the line, and does nothing with it.
    Place(Path),
    Expression(Unplaced),
}

/// An expression whose places have no slots yet.
pub(super) struct Unplaced {
    program: Program,
    paths: Vec<Path>,
    env: Arc<Env>,
}

/// An expression, ready to be evaluated.
pub(super) struct Expression {
    program: Program,
    input: Input,
    env: Arc<Env>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("source", &self.program.source_info().source).finish_non_exhaustive()
    }
}

impl<'s> Compiler<'s> {
    pub(super) fn new(secret_field: &'s str) -> Result<Self, CollectError> {
        let mut env = Env::stdlib().with_optional_support(false);
        env.add_extension(extensions::strings).map_err(|error| CollectError::Setting {
            setting: "fields",
            reason: format!("the library of CEL refuses its own extension: {error}"),
        })?;
        Ok(Compiler { env: Arc::new(env), secret_field })
    }

    pub(super) fn compile(&self, source: &str) -> Result<Compiled, Problem> {
        if source.len() > EXPRESSION_BYTES_MAX {
            let words = format!("it has {} bytes; at most {EXPRESSION_BYTES_MAX}", source.len());
            return Err(Problem::new(words));
        }
        let program = self.env.compile(source).map_err(|errors| syntax_problem(&errors))?;
        let mut check =
            Check { program: &program, secret_field: self.secret_field, paths: Vec::new(), bound: Vec::new() };
        check.expression(program.expression(), Where::Outside)?;
        let paths = check.paths;
        match path_of(program.expression()) {
            Some(path) => Ok(Compiled::Place(path)),
            None if paths.is_empty() => Err(Problem::new(
                "it names no field of the line, so every call would have the same value; write `line.NAME`",
            )),
            None => Ok(Compiled::Expression(Unplaced { program, paths, env: Arc::clone(&self.env) })),
        }
    }
}

impl Unplaced {
    /// The places that it reads.
    pub(super) fn paths(&self) -> &[Path] {
        &self.paths
    }

    pub(super) fn with_slots(self, wanted: &mut Wanted) -> Expression {
        let Unplaced { program, paths, env } = self;
        Expression { program, input: Input::new(&paths, wanted), env }
    }
}

impl Expression {
    /// Adds the values that the expression results in. A field that the line does not have is no failure: most lines
    /// have no account, say.
    pub(super) fn evaluate(&self, found: &Found<'_, '_>, values: &mut Values<'_>) -> Result<(), FieldFailure> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_as_val(LINE, self.input.of(found)?);
        match self.program.execute(&context) {
            Ok(result) => values::of_result(&result, values),
            Err(ExecutionError::NoSuchKey(_)) => Ok(()),
            Err(_) => Err(FieldFailure::Expression),
        }
    }
}

/// The first thing that the parser does not understand, in its words.
fn syntax_problem(errors: &cel::ParseErrors) -> Problem {
    let Some(first) = errors.errors.first() else { return Problem::new("it is no expression in CEL") };
    let position = |number: isize| usize::try_from(number).ok().filter(|number| *number > 0);
    let at = position(first.pos.0).zip(position(first.pos.1));
    // What the parser would have taken instead is a list of all tokens that there are.
    let words = first.msg.split(" expecting ").next().unwrap_or(&first.msg);
    let words = words.trim_start_matches("Syntax error: ").replace("'<EOF>'", "the end").replace('\n', " ");
    Problem { at, words: format!("this is no CEL: {}", words.trim()) }
}

/// The place that an expression names, where that is all it does: `line.a.b` or `line.a["b"]`.
fn path_of(expression: &IdedExpr) -> Option<Path> {
    match &expression.expr {
        Expr::Ident(name) if name == LINE => Some(Path::new()),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let mut operands = call.target.as_deref().into_iter().chain(&call.args);
            let (operand, index) = (operands.next()?, operands.next()?);
            let Expr::Literal(LiteralValue::String(name)) = &index.expr else { return None };
            let mut path = path_of(operand)?;
            path.push(name.inner().to_owned());
            Some(path)
        }
        _ => None,
    }
}

/// Whether a part of an expression is evaluated once, and what for, or for each element of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Outside,
    /// In the list that a comprehension goes through. One that another made can be longer each time.
    Range,
    Inside,
}

/// Looks through an expression for what may not be in it, and gathers the places that it reads.
struct Check<'p> {
    program: &'p Program,
    secret_field: &'p str,
    paths: Vec<Path>,
    /// Variables of the comprehension around.
    bound: Vec<&'p str>,
}

impl<'p> Check<'p> {
    fn expression(&mut self, expression: &'p IdedExpr, at: Where) -> Result<(), Problem> {
        if let Some(path) = path_of(expression) {
            return self.place(path, expression);
        }
        match &expression.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if self.bound.contains(&name.as_str()) => Ok(()),
            Expr::Ident(name) => Err(self.problem(expression, unknown_variable(name))),
            Expr::Select(select) => match path_of(&select.operand).filter(|_| select.test) {
                Some(mut path) => {
                    path.push(select.field.clone());
                    self.place(path, expression)
                }
                None => self.expression(&select.operand, at),
            },
            Expr::Call(call) => self.call(call, expression, at),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, expression, at),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.expression(element, at)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key, at)?;
                    self.expression(&entry.value, at)
                }
                EntryExpr::StructField(_) => Err(self.problem(expression, "messages cannot be made here".to_owned())),
            }),
            Expr::Struct(_) | Expr::Unspecified => {
                Err(self.problem(expression, "messages cannot be made here".to_owned()))
            }
        }
    }

    fn place(&mut self, path: Path, expression: &IdedExpr) -> Result<(), Problem> {
        match path.first() {
            None => Err(self.problem(expression, "name a field of the line, such as `line.login.account`".to_owned())),
            Some(name) if name == self.secret_field => {
                let words = format!("`line.{name}` is the source's secret, which is checked and removed");
                Err(self.problem(expression, words))
            }
            Some(_) => {
                if !self.paths.contains(&path) {
                    self.paths.push(path);
                }
                Ok(())
            }
        }
    }

    fn call(&mut self, call: &'p CallExpr, expression: &IdedExpr, at: Where) -> Result<(), Problem> {
        let name = call.func_name.as_str();
        let is_other = OTHERS.contains(&name);
        if is_other && at == Where::Inside {
            let words = format!("`{}` cannot be used for each element of a list", shown(name));
            return Err(self.problem(expression, words));
        }
        if !is_other && !CHEAP.contains(&name) {
            let functions =
                CHEAP.iter().chain(&OTHERS).filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
            let functions: Vec<_> = functions.copied().collect();
            let words = format!("there is no function `{}` here; there are {}", shown(name), functions.join(", "));
            return Err(self.problem(expression, words));
        }
        call.target.as_deref().into_iter().chain(&call.args).try_for_each(|operand| self.expression(operand, at))
    }

    fn comprehension(
        &mut self,
        comprehension: &'p ComprehensionExpr,
        expression: &IdedExpr,
        at: Where,
    ) -> Result<(), Problem> {
        let words = match at {
            Where::Outside => None,
            Where::Range => Some("`exists`, `all`, `filter` and `map` cannot be used on the result of each other"),
            Where::Inside => Some("`exists`, `all`, `filter` and `map` cannot be used inside of each other"),
        };
        if let Some(words) = words {
            return Err(self.problem(expression, words.to_owned()));
        }
        self.expression(&comprehension.iter_range, Where::Range)?;
        self.expression(&comprehension.accu_init, at)?;
        if comprehension.iter_var == LINE {
            return Err(self.problem(expression, "`line` is the line; call the element something else".to_owned()));
        }
        self.bound.extend([comprehension.iter_var.as_str(), comprehension.accu_var.as_str()]);
        self.bound.extend(comprehension.iter_var2.as_deref());
        self.expression(&comprehension.loop_cond, Where::Inside)?;
        self.step(&comprehension.loop_step, &comprehension.accu_var)?;
        self.expression(&comprehension.result, Where::Inside)?;
        self.bound.clear();
        Ok(())
    }

    /// What is done for an element. The `+` with which a macro adds it to the result is the macro's own.
    fn step(&mut self, step: &'p IdedExpr, result: &str) -> Result<(), Problem> {
        let is_result = |operand: &IdedExpr| matches!(&operand.expr, Expr::Ident(name) if name == result);
        match &step.expr {
            Expr::Call(call) if call.func_name == operators::ADD && call.args.first().is_some_and(is_result) => {
                call.args[1..].iter().try_for_each(|added| self.expression(added, Where::Inside))
            }
            Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
                call.args.iter().try_for_each(|operand| self.step(operand, result))
            }
            _ => self.expression(step, Where::Inside),
        }
    }

    fn problem(&self, expression: &IdedExpr, words: String) -> Problem {
        let info = self.program.source_info();
        let at = info.offset_for(expression.id).map(|(start, _)| position(&info.source, start as usize));
        Problem { at, words }
    }
}

/// Line and character, from 1, of an offset in characters.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let before: String = source.chars().take(offset).collect();
    let line = 1 + before.matches('\n').count();
    (line, 1 + before.chars().rev().take_while(|character| *character != '\n').count())
}

fn unknown_variable(name: &str) -> String {
    format!("there is no variable `{name}`; everything is in `line`: write `line.{name}`, or \"{name}\" for a text")
}

/// An operator as it is written.
fn shown(name: &str) -> String {
    let plain = name.trim_matches(['_', '@']);
    if plain.is_empty() { name.to_owned() } else { plain.replace('_', " ") }
}
