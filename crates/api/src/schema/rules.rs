//! CEL rules: compiled on first use, evaluated at every node that has some.
//!
//! The object becomes one tree of CEL values that borrow its text; each rule sees its node of
//! that tree as `self`.

use super::{
    digest::{Additional, ListType, Node},
    functions::{CACHED_MATCHES, ENVIRONMENT},
    go_text,
    violation::{Violation, ViolationKind},
};
use cel::{
    Context, ExecutionError, Program,
    common::{
        ast::{Expr, operators},
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

/// A program, or why it is none, from its first use on.
pub(super) type Compiled = OnceLock<Result<Program, String>>;

/// One `x-kubernetes-validations` entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) rule: String,
    #[serde(default)]
    pub(super) message: String,
    message_expression: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    field_path: String,
    #[serde(skip)]
    transition: OnceLock<bool>,
    /// Shared by all places of a digest that have this very rule: parsing is the dear part.
    #[serde(skip)]
    pub(super) compiled: Arc<Compiled>,
    #[serde(skip)]
    compiled_message: Compiled,
}

impl Rule {
    /// Whether it compares with the object before a change, and so says nothing about a new one.
    pub(super) fn is_transition(&self) -> bool {
        *self.transition.get_or_init(|| {
            self.rule
                .split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
                .any(|word| word == "oldSelf")
        })
    }

    /// Its message, or what the API server says for a rule without one.
    fn text(&self) -> String {
        match self.message.trim() {
            "" => format!("failed rule: {}", self.rule.trim()),
            message => message.to_owned(),
        }
    }

    /// How an error of the evaluation names the rule.
    fn name(&self) -> &str {
        match self.message.trim() {
            "" => self.rule.trim(),
            message => message,
        }
    }

    fn kind(&self) -> ViolationKind {
        match self.reason.as_deref() {
            Some("FieldValueForbidden") => ViolationKind::Forbidden,
            Some("FieldValueRequired") => ViolationKind::Required,
            Some("FieldValueDuplicate") => ViolationKind::Duplicate,
            Some(_) | None => ViolationKind::Rule,
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}

/// Evaluates every rule on `value` and below, given the value before a change if there is one.
pub(super) fn check(value: &Value, old: Option<&Value>, node: &Node, errors: &mut Vec<Violation>) {
    if !node.has_rules {
        return;
    }
    let tree = convert(value, Some(node));
    let old_tree = old.map(|old| convert(old, Some(node)));
    walk(Place { value, tree: &*tree, old, old_tree: old_tree.as_deref() }, node, "", errors);
}

/// A node of the object, as JSON and as CEL, with its counterpart before the change.
#[derive(Clone, Copy)]
struct Place<'a> {
    value: &'a Value,
    tree: &'a (dyn Val + 'a),
    old: Option<&'a Value>,
    old_tree: Option<&'a (dyn Val + 'a)>,
}

fn walk(place: Place<'_>, node: &Node, path: &str, errors: &mut Vec<Violation>) {
    if !node.has_rules || place.value.is_null() {
        return;
    }
    for rule in &node.rules {
        if place.old.is_some() || !rule.is_transition() {
            errors.extend(evaluate(place, rule, path));
        }
    }
    match place.value {
        Value::Object(map) => {
            for (key, value) in map {
                let Some(schema) = node.entry(key) else { continue };
                let child = match node.properties.get(key) {
                    Some(_) if path.is_empty() => key.clone(),
                    Some(_) => format!("{path}.{key}"),
                    None => format!("{path}[{key}]"),
                };
                let Some(tree) = map_entry(place.tree, key) else { continue };
                let old_tree = place.old_tree.and_then(|old| map_entry(old, key));
                let old = place.old.and_then(|old| old.get(key));
                walk(Place { value, tree, old, old_tree }, schema, &child, errors);
            }
        }
        Value::Array(items) => {
            let (Some(schema), Some(trees)) = (&node.items, list_entries(place.tree)) else {
                return;
            };
            for (index, (value, tree)) in items.iter().zip(trees).enumerate() {
                let before = correlate(place, node, value);
                let place = Place {
                    value,
                    tree: tree.as_ref(),
                    old: before.map(|(old, _)| old),
                    old_tree: before.map(|(_, tree)| tree),
                };
                walk(place, schema, &format!("{path}[{index}]"), errors);
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// The entry of a list map before the change that has the same keys.
fn correlate<'a>(
    place: Place<'a>,
    node: &Node,
    item: &Value,
) -> Option<(&'a Value, &'a (dyn Val + 'a))> {
    if node.list_type != ListType::Map {
        return None;
    }
    let old = place.old?.as_array()?;
    let trees = list_entries(place.old_tree?)?;
    old.iter()
        .zip(trees)
        .find(|(old, _)| node.map_keys.iter().all(|key| old.get(key) == item.get(key)))
        .map(|(old, tree)| (old, tree.as_ref()))
}

fn map_entry<'a>(tree: &'a (dyn Val + 'a), key: &'a str) -> Option<&'a (dyn Val + 'a)> {
    let map = tree.downcast_ref::<CelMap<'a>>()?;
    map.inner().get(&CelMapKey::from(key)).map(AsRef::as_ref)
}

fn list_entries<'a>(tree: &'a (dyn Val + 'a)) -> Option<&'a [Box<dyn Val + 'a>]> {
    tree.downcast_ref::<CelList<'a>>().map(CelList::inner)
}

/// JSON as CEL. Properties whose names are words of CEL are also there under their escaped name.
fn convert<'a>(value: &'a Value, node: Option<&Node>) -> Box<dyn Val + 'a> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Box::new(CelInt::from(integer)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or_default())),
        },
        Value::Array(items) => {
            let schema = node.and_then(|node| node.items.as_deref());
            let items: Vec<Box<dyn Val + 'a>> =
                items.iter().map(|item| convert(item, schema)).collect();
            Box::new(CelList::from(items))
        }
        Value::Object(map) => {
            let free = node.is_none_or(|node| !matches!(node.additional, Additional::None));
            let mut entries: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> =
                HashMap::with_capacity(map.len());
            for (key, value) in map {
                let schema = node.and_then(|node| node.entry(key)).map(AsRef::as_ref);
                if !free && let Some(escaped) = escape(key) {
                    entries.insert(CelMapKey::from(escaped), convert(value, schema));
                }
                entries.insert(CelMapKey::from(key.as_str()), convert(value, schema));
            }
            Box::new(CelMap::from(entries))
        }
    }
}

/// The name of a property in CEL, where it differs (Kubernetes' CEL escaping rules).
fn escape(name: &str) -> Option<String> {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    if !name.contains(['-', '.', '/']) && !name.contains("__") {
        return None;
    }
    let escaped = name.replace("__", "__underscores__").replace('-', "__dash__");
    Some(escaped.replace('.', "__dot__").replace('/', "__slash__"))
}

/// The variables of one evaluation.
struct Scope<'a> {
    value: &'a (dyn Val + 'a),
    old: Option<&'a (dyn Val + 'a)>,
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "self" => Some(CowVal::Borrowed(self.value)),
            "oldSelf" => self.old.map(CowVal::Borrowed),
            _ => None,
        }
    }
}

fn evaluate(place: Place<'_>, rule: &Rule, path: &str) -> Option<Violation> {
    let shown = match place.value {
        Value::Object(_) | Value::Array(_) => None,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Some(go_text::value(place.value))
        }
    };
    let fail = |text: String| {
        let shown = Some(go_text::quote(type_name(place.value)));
        Some(Violation::new(path, ViolationKind::Rule, shown, text))
    };
    let program = match compiled(&rule.compiled, &rule.rule) {
        Ok(program) => program,
        Err(error) => return fail(format!("rule compile error: {error}")),
    };
    let scope = Scope { value: place.tree, old: place.old_tree };
    match run(program, &scope) {
        Ok(cel::Value::Bool(true)) => None,
        Ok(_) => {
            let path = match rule.field_path.strip_prefix('.') {
                Some(field) if path.is_empty() => field.to_owned(),
                Some(_) | None => format!("{path}{}", rule.field_path),
            };
            let text = expressed(rule, &scope).unwrap_or_else(|| rule.text());
            let kind = rule.kind();
            let bare = matches!(kind, ViolationKind::Forbidden | ViolationKind::Required);
            let shown = shown.filter(|_| !bare);
            Some(Violation::new(&path, kind, shown, text))
        }
        Err(error) => fail(error_text(&first_error(program, &scope).unwrap_or(error), rule)),
    }
}

/// The text that the rule's message expression gives, when it has one that gives any.
fn expressed(rule: &Rule, scope: &Scope<'_>) -> Option<String> {
    let source = rule.message_expression.as_ref()?;
    let program = compiled(&rule.compiled_message, source).as_ref().ok()?;
    match run(program, scope) {
        Ok(cel::Value::String(text)) => {
            let text = text.trim();
            (!text.is_empty() && !text.contains('\n')).then(|| text.to_owned())
        }
        Ok(_) | Err(_) => None,
    }
}

fn run(program: &Program, scope: &Scope<'_>) -> Result<cel::Value, ExecutionError> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(scope);
    program.execute(&context)
}

/// The JSON type that an error of the evaluation shows in place of the value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => "null",
    }
}

/// The error that Go's CEL library reports when several operands fail: the leftmost one.
fn first_error(program: &Program, scope: &Scope<'_>) -> Option<ExecutionError> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(scope);
    let mut expression = program.expression();
    while let Expr::Call(call) = &expression.expr {
        let (left, rest) = match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_OR | operators::LOGICAL_AND, [left, right]) => (left, Some(right)),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let chosen = match cel::Value::resolve(condition, &context) {
                    Ok(cel::Value::Bool(true)) => Some(yes),
                    Ok(_) => Some(no),
                    Err(_) => None,
                };
                (condition, chosen)
            }
            _ => break,
        };
        expression = match (cel::Value::resolve(left, &context), rest) {
            (Err(_), _) => left,
            (Ok(_), Some(rest)) => rest,
            (Ok(_), None) => break,
        };
    }
    cel::Value::resolve(expression, &context).err()
}

/// Go's CEL library words these errors differently from ours.
fn error_text(error: &ExecutionError, rule: &Rule) -> String {
    let name = rule.name();
    if let ExecutionError::NoSuchOverload(_) = error {
        return format!(
            "'no such overload': call arguments did not match a supported operator, function or macro \
             signature for rule: {name}"
        );
    }
    let error = if let ExecutionError::NoSuchKey(key) = error {
        format!("no such key: {key}")
    } else if let ExecutionError::IndexOutOfBounds(cel::Value::Int(index)) = error {
        format!("index out of bounds: {index}")
    } else if matches!(error, ExecutionError::FunctionError { function, .. } if function == "duration")
    {
        "type conversion error from 'string' to 'google.protobuf.Duration'".to_owned()
    } else {
        error.to_string()
    };
    format!("{error} evaluating rule: {name}")
}

fn compiled<'a>(slot: &'a Compiled, source: &str) -> &'a Result<Program, String> {
    slot.get_or_init(|| {
        let source = source.replace(".matches(", &format!(".{CACHED_MATCHES}("));
        ENVIRONMENT.compile(&source).map_err(|error| error.to_string())
    })
}
