//! How much longer a statement's values may become than those that it reads.
//!
//! The engine counts what it keeps against the limit of memory, and not what an expression is about to make of a batch of
//! rows: `a || a`, again and again, is longer than the machine's memory in one step. So a statement is looked through before:
//! of each expression it is known how many times as long as the values of a column what it makes can be, as far as that can be
//! said without these. What a function makes that is not known here counts as much longer.

use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::DFSchemaRef;
use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::logical_expr::expr::ScalarFunction;
use deltalake::datafusion::logical_expr::{Distinct, Expr, ExprSchemable as _, LogicalPlan, Operator};

/// How many times as long a value may become: enough to put all columns of a call together several times.
pub(crate) const GROWTH_MAX: u64 = 256;

/// A text of a statement counts as one more value for each so many bytes of it.
const TEXT_BYTES: u64 = 256;
/// What a function that is not known here may make of its arguments.
const UNKNOWN: u64 = 16;
/// What puts the values of many rows together, which the limit of memory sees: little may be done with that.
const GATHERED: u64 = GROWTH_MAX / 2;
/// Text between elements of a list that is no longer than they.
const BETWEEN_BYTES: u64 = 8;

/// Functions whose value is no longer than the longest of their arguments, or little longer.
const NO_LONGER: &str = "array_any_value array_compact array_distinct array_element array_except array_first array_intersect \
    array_pop_back array_pop_front array_remove array_remove_all array_remove_n array_reverse array_slice array_sort arrow_cast \
    arrow_try_cast btrim cast_to_type coalesce decode field_value flatten get_field greatest initcap least left lower ltrim \
    map_entries map_extract map_keys map_values nullif nvl nvl2 regexp_match reverse right rtrim split_part string_to_array substr \
    substr_index translate trim try_cast_to_type union_extract upper with_metadata";
/// Functions that put their arguments together.
const TOGETHER: &str = "array_append array_concat array_prepend array_union arrays_zip concat entity_names make_array map named_struct \
    overlay struct";
/// Aggregates that do so with the values of many rows.
const GATHERING: &str = "array_agg string_agg";

/// The growth of each column of a step.
type Columns = Vec<u64>;
type Inputs<'a> = [(&'a DFSchemaRef, Columns)];

/// How many times as long as the values of a column any value can become on the way, or more.
pub(crate) fn growth_of(plan: &LogicalPlan) -> u64 {
    let mut growth = Growth { most: 1 };
    growth.of_plan(plan);
    growth.most
}

struct Growth {
    most: u64,
}

impl Growth {
    fn of_plan(&mut self, plan: &LogicalPlan) -> Columns {
        let inputs: Vec<_> = plan.inputs().into_iter().map(|input| (input.schema(), self.of_plan(input))).collect();
        let made: Columns = plan.expressions().iter().map(|made| self.of(made, &inputs)).collect();
        let passed: Columns = inputs.into_iter().flat_map(|(_, columns)| columns).collect();
        let width = plan.schema().fields().len();
        let most = passed.iter().chain(&made).copied().max().unwrap_or(1).max(1);
        let columns = match plan {
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => made,
            LogicalPlan::Window(_) => [passed, made].concat(),
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => passed,
            _ => Vec::new(),
        };
        if columns.len() == width { columns } else { vec![most; width] }
    }

    fn of(&mut self, expression: &Expr, inputs: &Inputs<'_>) -> u64 {
        let mut parts = Vec::new();
        // It fails only where the closure does.
        drop(expression.apply_children(|part| {
            parts.push(self.of(part, inputs));
            Ok(TreeNodeRecursion::Continue)
        }));
        let longest = parts.iter().copied().max().unwrap_or_default().max(1);
        let growth = match expression {
            Expr::Column(column) => {
                let of_input = |(schema, columns): &(&DFSchemaRef, Columns)| {
                    columns.get(schema.maybe_index_of_column(column)?).copied()
                };
                inputs.iter().find_map(of_input).unwrap_or(1)
            }
            // What is outside was looked at before.
            Expr::OuterReferenceColumn(..) => self.most,
            Expr::Literal(value, _) => value.size() as u64 / TEXT_BYTES,
            Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => sum(&parts),
            Expr::BinaryExpr(_) => 1,
            Expr::ScalarFunction(call) if is_long(expression, inputs) => of_call(call, &parts, longest),
            Expr::ScalarFunction(_) => 1,
            // It makes something of each element of a list.
            Expr::HigherOrderFunction(_) => unknown(&parts),
            Expr::AggregateFunction(call) if is_in(GATHERING, call.func.name()) => longest.max(GATHERED),
            // A list for each row, each with what all rows before have.
            Expr::WindowFunction(call) if is_in(GATHERING, call.fun.name()) => u64::MAX,
            Expr::ScalarSubquery(asked) => self.of_plan(&asked.subquery).into_iter().max().unwrap_or(1),
            Expr::InSubquery(asked) => {
                self.of_plan(&asked.subquery.subquery);
                1
            }
            Expr::Exists(asked) => {
                self.of_plan(&asked.subquery.subquery);
                1
            }
            Expr::SetComparison(asked) => {
                self.of_plan(&asked.subquery.subquery);
                1
            }
            _ => longest,
        };
        self.most = self.most.max(growth);
        growth
    }
}

/// Whether values of it can be long.
fn is_long(expression: &Expr, inputs: &Inputs<'_>) -> bool {
    let [(schema, _)] = inputs else { return true };
    let Ok(kind) = expression.get_type(schema.as_ref()) else { return true };
    kind.is_string() || kind.is_nested() || kind.is_binary() || matches!(kind, DataType::Dictionary(..))
}

/// What a function makes of its arguments, of which each has so much growth.
fn of_call(call: &ScalarFunction, parts: &[u64], longest: u64) -> u64 {
    let bytes = |at: usize| call.args.get(at).and_then(text).map(|text| text.len() as u64);
    let part = |at: usize| parts.get(at).copied().unwrap_or_default().max(1);
    match call.func.name() {
        name if is_in(NO_LONGER, name) => longest,
        name if is_in(TOGETHER, name) => sum(parts).max(1),
        "replace" => match (bytes(1), bytes(2)) {
            (Some(from), Some(to)) => part(0).saturating_mul(to.div_ceil(from.max(1)).max(1)),
            // One for each of its letters.
            _ => part(0).saturating_mul(part(2)).saturating_mul(GROWTH_MAX + 1),
        },
        "regexp_replace" => match (call.args.get(1).and_then(text), call.args.get(2).and_then(text)) {
            (pattern, Some(to)) => {
                let found_bytes = pattern.and_then(shortest).unwrap_or_default();
                let bytes = to.len() as u64;
                // What is found has a letter before it where it may be nothing.
                let longer = if found_bytes == 0 { bytes + 1 } else { bytes.div_ceil(found_bytes).max(1) };
                let whole = to.bytes().filter(|byte| matches!(byte, b'\\' | b'$')).count() as u64;
                part(0).saturating_mul(longer.saturating_add(whole))
            }
            _ => part(0).saturating_mul(part(2)).saturating_mul(GROWTH_MAX + 1),
        },
        "array_to_string" | "list_to_string" | "array_join" | "list_join" => {
            let between = call.args.iter().skip(1).map(|between| text(between).map(|text| text.len() as u64));
            match between.sum::<Option<u64>>() {
                Some(bytes) => part(0).saturating_mul(1 + bytes / BETWEEN_BYTES),
                None => part(0).saturating_mul(longest).saturating_mul(GROWTH_MAX + 1),
            }
        }
        "concat_ws" => {
            sum(parts).saturating_add(part(0).saturating_mul(bytes(0).map_or(parts.len() as u64, |_| 0))).max(1)
        }
        "encode" => longest.saturating_mul(2),
        _ => unknown(parts),
    }
}

fn is_in(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|known| known == name)
}

fn unknown(parts: &[u64]) -> u64 {
    parts.iter().fold(UNKNOWN, |product, part| product.saturating_mul((*part).max(1)))
}

fn sum(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
}

/// The bytes of the shortest text in which a pattern is found.
fn shortest(pattern: &str) -> Option<u64> {
    Some(regex_syntax::parse(pattern).ok()?.properties().minimum_len()? as u64)
}

/// A text that stands in the statement.
fn text(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Cast(cast) => text(&cast.expr),
        Expr::Alias(alias) => text(&alias.expr),
        _ => None,
    }
}
