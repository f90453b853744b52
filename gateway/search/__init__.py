"""Search for studies: an index in the store, made of the studies' documents and rebuilt at will.

Under ``index/``:

``{YYYY-MM-DD}/part-{nnnn}.jsonl.gz``
    Entries of studies received on that day (UTC), merged; as a rule one part. Replaced by swaps
    until it is full, and then only to take a study out; never removed.
``{YYYY-MM-DD}/new-{token}.jsonl.gz``
    Entries of that day that a gateway wrote together and nobody has merged yet; immutable.
``by/{kind}/{keyed hash}/{YYYY-MM-DD}.{study_id}.json``
    A pointer from a patient ID, an accession number or a Study Instance UID to a study.
``key.json``
    The key of these hashes.

**By day of receipt**, not by Study Date: every study has one, it never changes, and it is this
gateway's own. An old study that is sent today stands under today. Study Date is matched within the
days that are searched.

**Merging** (`gateway.search.days`). Any gateway may merge a day: it reads the last part, then the
new objects, swaps the part for the union, and removes the new objects it has read. Who loses the
swap has changed nothing. A reader reads the new objects first and the parts after them: an entry
whose new object is gone is in a part. The part that follows a full one is looked for though it was
not listed. Of several entries of a study the one of the latest document counts, so none is lost and
none is listed twice.

**Deletion.** A study's entries go by the same swap, and its pointers with them. The closing of the
study names both, and the sweep of deletions repeats it once every write that had begun before must
have ended.

**Loss.** A gateway that is killed between a study's swap and its entry leaves the study without
one. `gateway.search.reconciliation` finds it, by the documents.

Not SQLite, Lucene or a search server: the state lives in the object store alone, and any number of
gateways write it.
"""
