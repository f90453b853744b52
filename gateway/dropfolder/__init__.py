"""From objects that come to the drop folder, in any order and more than once, to studies.

There is no database: all state is in the drop folder and the store. Any number of gateways work on
them at once, and these hold for any order of their steps.

1. **No pair is overlooked.** A delivery comes after its object. Of two halves, the delivery that
   looks last finds both. A delivery that finds one alone first notes that it waits and then looks
   again: either it sees the other half now, or the other half comes later and its delivery sees
   both.
2. **An image has one reading.** Inside a process the deliveries of a pair take turns
   (`gateway.dropfolder.pair_turns`): the second finds the reading, or that its object was taken
   with these very bytes. Should two gateways process an image at once, the swap of the study's
   document keeps one reading, and both answer with it; that costs an inference. A delivery that
   died with its gateway is repeated by its sender, and a watched folder takes the file up again.
3. **No answer is borrowed.** A delivery says that its study is done only when it has seen the
   stored result or the parked item; else it ends in an error and is repeated.
4. **Nothing waits for ever, nothing is dropped.** A half that waits longer than the deadline is
   parked by a sweep; then the sweep looks again, since the other half may have been taken while it
   parked. An image that is taken after all clears what waited and was parked of it, in that order
   of steps: the reading first. A gateway that parks an image writes the item before it looks at the
   study: either the other gateway sees the item, or this one the reading, and looks again.
5. **Bytes and versions decide.** An image's delivery reads the version that it names; the same
   bytes are a duplicate, other bytes another image of the study, and of those that were read under
   one name the image stands whose bytes lie there now (`gateway.dropfolder.superseding`). A sidecar
   is read as it is now. A sidecar that names another study, patient or order than before is a
   conflict: the image is parked, and nothing stored changes.

A pair costs the store these requests; those of one line are under way together, and a test counts
them:

1. read the sidecar; for a sidecar's event list the images beside it;
2. read the image, list the study's tombstones, read the study's document;
3. write the image, while the model runs;
4. swap the document;
5. write the heat map, list what waits and is parked of the pair.

Where both events come together that is all: the second is compared with what the first one read, by
its ETag, and a sidecar's lists the images beside it while it waits. An event that comes later is
taken from the beginning, and ends with the reading that is there.
"""
