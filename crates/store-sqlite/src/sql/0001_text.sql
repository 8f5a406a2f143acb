-- The text of traces: an index over the log that is built at the first search and caught up at each, so that recording
-- costs nothing. How far it has come stands in meta under 'text_size'.
--
-- The content is not kept a second time: what is looked for is cut into words before it comes here, and only rows are
-- asked for. Column run holds the run's number as a word, so that a search within a run visits that run alone.
CREATE VIRTUAL TABLE trace_text USING fts5(
    run,
    words,
    content = 'trace_text_source',
    content_rowid = 'log_index',
    columnsize = 0,
    tokenize = 'ascii'
);
INSERT INTO trace_text (trace_text, rank) VALUES ('secure-delete', 1);

-- Named as the content, so that nobody takes a table of the record for it.
CREATE VIEW trace_text_source AS SELECT NULL AS log_index, NULL AS run, NULL AS words WHERE FALSE;
