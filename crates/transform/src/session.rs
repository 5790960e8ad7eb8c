//! A DataFusion session for one query: its memory, its tables, and what it may not do.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use sallyport_dataplane::Input;

use crate::fifo::Disk;
use crate::pool::Pool;
use crate::table::Table;
use crate::{Error, Surroundings};

/// Rows of a batch inside the query: few, because each of the sorts and exchanges of a join must have room for one.
const BATCH_ROWS: usize = 2048;

/// Two partitions make joins by sorting, which spills, instead of by a hash table, which does not.
const PARTITIONS: usize = 2;

/// What sorts keep aside of the memory to merge what they have spilled.
const MERGE_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Session {
    context: SessionContext,
    tables: Vec<Arc<Table>>,
}

/// Waits for the inputs' schemas and registers them as tables.
pub(crate) fn open(inputs: Vec<(String, Input)>, surroundings: Surroundings<'_>) -> Result<Session, Error> {
    let context = SessionContext::new_with_config_rt(config(surroundings), runtime(surroundings)?);
    let mut tables = Vec::with_capacity(inputs.len());
    let disk = Disk::new(surroundings.spill_bytes);
    for (name, mut input) in inputs {
        let schema: SchemaRef = input.schema()?;
        let table = Arc::new(Table::new(name.clone(), Arc::clone(&schema), input, surroundings.scratch, &disk));
        let partition = Arc::clone(&table) as _;
        let streaming = StreamingTable::try_new(schema, vec![partition])?;
        context.register_table(TableReference::bare(name), Arc::new(streaming))?;
        tables.push(table);
    }
    Ok(Session { context, tables })
}

impl Session {
    /// Plans the query and starts it.
    pub(crate) async fn execute(&self, sql: &str) -> Result<SendableRecordBatchStream, Error> {
        let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = self.context.sql_with_options(sql, only_queries).await?;
        let (state, plan) = frame.into_parts();
        let plan = state.optimize(&plan)?;
        self.serve_scans(&plan)?;
        let physical = state.query_planner().create_physical_plan(&plan, &state).await?;
        Ok(datafusion::physical_plan::execute_stream(physical, state.task_ctx())?)
    }

    /// Tells each table how often the plan scans it, because its rows come only once.
    fn serve_scans(&self, plan: &LogicalPlan) -> Result<(), Error> {
        let mut scanned: Vec<String> = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                scanned.push(scan.table_name.table().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let alone = self.tables.len() == 1;
        for table in &self.tables {
            let scans = scanned.iter().filter(|name| *name == table.name()).count();
            table.serve(scans, alone)?;
        }
        Ok(())
    }
}

fn config(surroundings: Surroundings<'_>) -> SessionConfig {
    let merge = MERGE_BYTES.min(surroundings.memory_bytes / 8);
    SessionConfig::new()
        .with_target_partitions(PARTITIONS)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_sort_spill_reservation_bytes(merge)
        .set_bool("datafusion.optimizer.prefer_hash_join", false)
        // Filters and computed columns then keep the order of the rows.
        .set_bool("datafusion.optimizer.enable_round_robin_repartition", false)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
}

fn runtime(surroundings: Surroundings<'_>) -> Result<Arc<datafusion::execution::runtime_env::RuntimeEnv>, Error> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![surroundings.scratch.to_path_buf()]))
        .with_max_temp_directory_size(surroundings.spill_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(Pool::new(surroundings.memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    Ok(runtime)
}
