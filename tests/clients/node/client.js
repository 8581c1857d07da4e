// Asks what stdin lists, one after the other, and tells each answer: node client.js proto|reflection TARGET PROTO_FOLDER
import { readFileSync } from "node:fs";
import path from "node:path";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import health from "grpc-health-check";
import { GrpcReflection } from "grpc-js-reflection-client";

const OPTIONS = { keepCase: true, longs: String, enums: String, bytes: Buffer, defaults: true, oneofs: true };
const [way, target, protoFolder] = process.argv.slice(2);
const credentials = grpc.credentials.createInsecure();

async function packageOf(file, service) {
  if (way === "proto") return grpc.loadPackageDefinition(protoLoader.loadSync(path.join(protoFolder, file), OPTIONS));
  const descriptor = await new GrpcReflection(target, credentials).getDescriptorBySymbol(service);
  return descriptor.getPackageObject(OPTIONS);
}

const call = (client, method, request, seconds) =>
  new Promise((resolve, reject) => {
    const options = { deadline: new Date(Date.now() + 1000 * seconds) };
    client[method](request, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

async function asked(client, ask) {
  const request = {
    model_name: ask.model,
    model_version: ask.version,
    inputs: [{ name: ask.name, datatype: ask.datatype, shape: ask.shape }],
    outputs: ask.outputs.map((name) => ({ name })),
    raw_input_contents: [Buffer.from(ask.data, "base64")],
  };
  try {
    const answer = await call(client, "ModelInfer", request, ask.timeout_s);
    const contents = answer.raw_output_contents.map((each) => each.toString("base64"));
    return { outputs: Object.fromEntries(answer.outputs.map((each, index) => [each.name, contents[index]])) };
  } catch (error) {
    return { code: grpc.status[error.code], message: error.details };
  }
}

// Requests on one ScoreStream, and what came back by id.
function streamed(client, asks) {
  return new Promise((resolve, reject) => {
    const told = {};
    const stream = client.ScoreStream({ deadline: new Date(Date.now() + 20000) });
    stream.on("data", (reply) => {
      const answer = reply.response;
      if (answer) told[answer.id] = Object.fromEntries(answer.outputs.map((each) => [each.name, each.data.toString("base64")]));
      else told[reply.refusal.id] = grpc.status[reply.refusal.code];
    });
    stream.on("end", () => resolve(told));
    stream.on("error", reject);
    asks.forEach((ask, number) => {
      const window = { name: ask.name, data_type: "DATA_TYPE_FLOAT32", shape: ask.shape, data: Buffer.from(ask.data, "base64") };
      stream.write({ model: ask.model, id: String(number), window, outputs: ask.outputs });
    });
    stream.end();
  });
}

const asks = JSON.parse(readFileSync(0, "utf8"));
const inference = (await packageOf("offbeat/inference/open_inference.proto", "inference.GRPCInferenceService")).inference;
const scoring = (await packageOf("offbeat/v1/scoring.proto", "offbeat.v1.AnomalyScoring")).offbeat.v1;
const client = new inference.GRPCInferenceService(target, credentials);
const scorer = new scoring.AnomalyScoring(target, credentials);
const checker = new (grpc.loadPackageDefinition(protoLoader.loadSync(health.protoPath, OPTIONS)).grpc.health.v1.Health)(target, credentials);
const told = {
  health: (await call(checker, "Check", { service: "" }, 10)).status,
  answers: [],
  streamed: process.env.STREAMED ? await streamed(scorer, asks) : {},
};
for (const ask of asks) told.answers.push(await asked(client, ask));
for (const each of [client, scorer, checker]) each.close();
process.stdout.write(JSON.stringify(told));
