"""From objects that come to the drop folder, in any order and more than once, to studies.

There is no database: the drop folder and the store say all there is to know. Any number of
gateways work on them at once, and what follows holds whatever the order of their steps.

1. **No pair is overlooked.** A delivery comes after its object. Of two halves, the delivery that
   looks last finds both. Whoever finds one alone first notes that it waits and then looks again:
   either it sees the other half now, or the other half comes later and its delivery sees both.
2. **An image has one reading.** Inside a process the deliveries of a pair take turns
   (`gateway.dropfolder.pair_turns`): whoever comes second finds the reading. Should two gateways
   process an image at once, the swap of the study's document keeps one reading, and both answer
   with it; that costs an inference. A delivery that died with its gateway is repeated by whoever
   brought it, and a watched folder takes the file up again.
3. **Nobody answers for another.** A delivery says that its study is done only when it has seen the
   stored result or the parked item; else it ends in an error and is repeated.
4. **Nothing waits for ever, nothing is dropped.** What waits longer than the deadline is parked by
   a sweep; then the sweep looks again, since the other half may have been taken while it parked.
   What is taken after all clears what waited and was parked of it, in that order of steps: the
   reading first.
5. **Bytes and versions decide.** An image's delivery reads the version that it names; the same
   bytes are a duplicate, other bytes another image of the study, and of those that were read under
   one name the image stands whose bytes lie there now (`gateway.dropfolder.superseding`). A sidecar
   is read as it is now. A sidecar that names another study, patient or order than before is a
   conflict: the image is parked, and nothing stored changes.
"""
