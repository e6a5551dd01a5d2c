//! Rows as bytes in the forms that other programs read.

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, RecordBatch, StringArray};
use deltalake::arrow::csv::WriterBuilder;
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::arrow::json::LineDelimitedWriter;
use deltalake::arrow::util::display::{ArrayFormatter, FormatOptions};
use deltalake::parquet::arrow::ArrowWriter;

/// A form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values with the columns' names first (RFC 4180). Lists are texts. A text that a spreadsheet would take for a
    /// formula has an apostrophe before it: clients choose their paths and headers.
    Csv,
    /// A JSON object for each row, on a line of its own, without what is null.
    JsonLines,
    /// One Parquet file.
    Parquet,
}

/// Writes rows as they come.
pub struct Export(Form);

enum Form {
    /// With the columns' names yet to be written, where there are any.
    Csv(Option<SchemaRef>),
    JsonLines,
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Export {
    /// Begins with rows of these columns.
    pub fn new(format: ExportFormat, schema: SchemaRef) -> Result<Export, ArrowError> {
        Ok(Export(match format {
            ExportFormat::Csv => Form::Csv(Some(schema)),
            ExportFormat::JsonLines => Form::JsonLines,
            ExportFormat::Parquet => Form::Parquet(Box::new(ArrowWriter::try_new(Vec::new(), schema, None)?)),
        }))
    }

    /// The bytes that follow the ones before.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        match &mut self.0 {
            Form::Csv(header) => csv(batch, header.take().is_some()),
            Form::JsonLines => {
                let mut writer = LineDelimitedWriter::new(Vec::new());
                writer.write(batch)?;
                writer.finish()?;
                Ok(writer.into_inner())
            }
            Form::Parquet(writer) => {
                writer.write(batch)?;
                Ok(std::mem::take(writer.inner_mut()))
            }
        }
    }

    /// The last bytes.
    pub fn finish(self) -> Result<Vec<u8>, ArrowError> {
        match self.0 {
            Form::Csv(Some(schema)) => csv(&RecordBatch::new_empty(schema), true),
            Form::Csv(None) | Form::JsonLines => Ok(Vec::new()),
            Form::Parquet(writer) => Ok(writer.into_inner()?),
        }
    }
}

fn csv(batch: &RecordBatch, has_header: bool) -> Result<Vec<u8>, ArrowError> {
    let mut writer = WriterBuilder::new().with_header(has_header).build(Vec::new());
    writer.write(&flat(batch)?)?;
    Ok(writer.into_inner())
}

/// The rows with lists as texts, and texts as no formulas.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let options = FormatOptions::default();
    let column = |(field, column): (&Arc<Field>, &ArrayRef)| -> Result<(Field, ArrayRef), ArrowError> {
        let kind = match field.data_type() {
            DataType::Dictionary(_, kind) => kind.as_ref(),
            kind => kind,
        };
        let name = no_formula(field.name().clone());
        if !kind.is_nested() && !kind.is_string() {
            return Ok((field.as_ref().clone().with_name(name), Arc::clone(column)));
        }
        let texts = ArrayFormatter::try_new(column, &options)?;
        let text = |row| column.is_valid(row).then(|| no_formula(texts.value(row).to_string()));
        let texts: StringArray = (0..column.len()).map(text).collect();
        Ok((Field::new(name, DataType::Utf8, true), Arc::new(texts)))
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(column).collect::<Result<Vec<_>, _>>()?;
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// What OWASP's page on CSV injection asks for.
fn no_formula(text: String) -> String {
    const FIRST: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if text.starts_with(FIRST) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use deltalake::arrow::array::{Int64Array, ListArray};
    use deltalake::arrow::datatypes::Int32Type;
    use deltalake::parquet::file::reader::{FileReader as _, SerializedFileReader};

    use super::*;

    fn rows() -> RecordBatch {
        let numbers = Int64Array::from(vec![Some(1), None]);
        let texts = StringArray::from(vec!["a,b", "say \"no\""]);
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(7), Some(8)]), None]);
        let columns: [(&str, ArrayRef); 3] =
            [("number", Arc::new(numbers)), ("text", Arc::new(texts)), ("list", Arc::new(lists))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn exported(format: ExportFormat, batches: &[RecordBatch]) -> Vec<u8> {
        let mut export = Export::new(format, rows().schema()).unwrap();
        let mut bytes: Vec<u8> = batches.iter().flat_map(|batch| export.rows(batch).unwrap()).collect();
        bytes.extend(export.finish().unwrap());
        bytes
    }

    #[test]
    fn rows_come_in_each_form_also_when_there_are_none() {
        let text = |format, batches: &[RecordBatch]| String::from_utf8(exported(format, batches)).unwrap();
        let two = [rows(), rows()];
        let row = "1,\"a,b\",\"[7, 8]\"\n,\"say \"\"no\"\"\",\n";
        assert_eq!(text(ExportFormat::Csv, &two), format!("number,text,list\n{row}{row}"));
        assert_eq!(text(ExportFormat::Csv, &[]), "number,text,list\n");
        let row = "{\"number\":1,\"text\":\"a,b\",\"list\":[7,8]}\n{\"text\":\"say \\\"no\\\"\"}\n";
        assert_eq!(text(ExportFormat::JsonLines, &two), format!("{row}{row}"));
        assert_eq!(text(ExportFormat::JsonLines, &[]), "");
        for (batches, count) in [(&two[..], 4), (&[], 0)] {
            let file = tempfile::tempfile().unwrap();
            (&file).write_all(&exported(ExportFormat::Parquet, batches)).unwrap();
            let reader = SerializedFileReader::new(file).unwrap();
            assert_eq!(reader.metadata().file_metadata().num_rows(), count);
        }
    }

    #[test]
    fn no_text_is_a_formula_in_a_spreadsheet() {
        let texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "/a?b=-1"];
        let numbers = Int64Array::from_iter_values([-1; 6]);
        let columns: [(&str, ArrayRef); 2] =
            [("=text", Arc::new(StringArray::from(texts.to_vec()))), ("number", Arc::new(numbers))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut export = Export::new(ExportFormat::Csv, batch.schema()).unwrap();
        let text = String::from_utf8(export.rows(&batch).unwrap()).unwrap();
        let cells: Vec<_> = text.lines().collect();
        assert_eq!(cells, ["'=text,number", "'=1+1,-1", "'+1,-1", "'-1,-1", "'@SUM(A1),-1", "'\t=1,-1", "/a?b=-1,-1"]);
    }
}
