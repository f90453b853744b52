// Receives HL7 v2 messages over MLLP and answers them: node hl7_receiver.js CODE
// Prints its port, then the control ID, the patient's family name and the notes of each message.
import { HL7Server } from "hl7v2-net";

const code = process.argv[2];
const server = HL7Server.createServer();
server.on("error", () => {}); // a sender that leaves resets the connection
server.use((request, response) => {
  const { message } = request;
  const notes = message.segments.filter((segment) => segment.segmentType === "NTE");
  console.log(JSON.stringify({
    control: message.header.field(10).getValue(),
    family: message.getSegment("PID").field(5).getValue(1),
    notes: notes.map((note) => note.field(3).getValue()),
  }));
  response.message = message.createAck(code);
});
await server.listen(0, "127.0.0.1");
console.log(server.address().port);
