//! How much longer a statement's values may become than those that it reads.
//!
//! The engine counts what it keeps against the limit of memory, and not what an expression is about to make of a batch of
//! rows: `a || a`, again and again, is longer than the machine's memory in one step. So a statement is looked through before:
//! of each expression it is known how many times as long as the values of a column what it makes can be, whatever these are.

use deltalake::datafusion::common::DFSchemaRef;
use deltalake::datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use deltalake::datafusion::logical_expr::expr::ScalarFunction;
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, Operator};

/// How many times as long a value may become: enough to put all columns of a call together several times.
pub(crate) const GROWTH_MAX: u64 = 256;

/// A text of a statement counts as one more value for each so many bytes of it.
const TEXT_BYTES: u64 = 256;
/// What is put in the place of something as often as it occurs, where that cannot be said.
const OFTEN: u64 = 16;

/// The growth of each column of a step.
type Columns = Vec<u64>;

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
        let most = passed.iter().chain(&made).copied().max().unwrap_or(1);
        let columns = match plan {
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => made,
            LogicalPlan::Window(_) => [passed, made].concat(),
            _ => passed,
        };
        if columns.len() == width { columns } else { vec![most; width] }
    }

    fn of(&mut self, expression: &Expr, inputs: &[(&DFSchemaRef, Columns)]) -> u64 {
        let mut parts = Vec::new();
        // It fails only where the closure does.
        drop(expression.apply_children(|part| {
            parts.push(self.of(part, inputs));
            Ok(TreeNodeRecursion::Continue)
        }));
        let growth = match expression {
            Expr::Column(column) => {
                let of_input = |(schema, columns): &(&DFSchemaRef, Columns)| {
                    columns.get(schema.maybe_index_of_column(column)?).copied()
                };
                inputs.iter().find_map(of_input).unwrap_or(1)
            }
            Expr::Literal(..) => 1 + text_bytes(expression).unwrap_or_default() / TEXT_BYTES,
            Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => sum(&parts),
            Expr::BinaryExpr(_) => 1,
            Expr::ScalarFunction(call) => of_call(call, &parts),
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
            _ => parts.iter().copied().max().unwrap_or(1),
        };
        self.most = self.most.max(growth);
        growth
    }
}

/// What a function makes of its arguments, of which each has so much growth.
fn of_call(call: &ScalarFunction, parts: &[u64]) -> u64 {
    let text = |at: usize| call.args.get(at).and_then(text_bytes);
    let part = |at: usize| parts.get(at).copied().unwrap_or(1);
    match call.func.name() {
        "replace" => match (text(1), text(2)) {
            (Some(from), Some(to)) => part(0).saturating_mul(to.div_ceil(from.max(1)).max(1)),
            _ => part(0).saturating_mul(part(2)).saturating_mul(OFTEN),
        },
        // Between any two characters, and each reference to a group may be all of what was found.
        "regexp_replace" => match text(2) {
            Some(to) => part(0).saturating_mul(1 + to + to / 2),
            None => part(0).saturating_mul(part(2)).saturating_mul(OFTEN),
        },
        "array_to_string" | "list_to_string" | "array_join" | "list_join" => {
            part(0).saturating_mul(text(1).map_or(OFTEN, |between| 1 + between))
        }
        "concat_ws" => sum(parts).saturating_add(part(0).saturating_mul(parts.len() as u64)),
        // It has no more of each than there is.
        _ => sum(parts).max(1),
    }
}

fn sum(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
}

/// The length of a text that stands in the statement.
fn text_bytes(expression: &Expr) -> Option<u64> {
    let Expr::Literal(value, _) = expression else { return None };
    Some(value.try_as_str().flatten()?.len() as u64)
}
