-- Few among many, and read whenever somebody asks how fresh the views are: how the pipeline's runs ended.
create index observability_events_pipeline_runs on holds.observability_events (occurred_at)
where event_type in ('pipeline.run.succeeded', 'pipeline.run.failed');
