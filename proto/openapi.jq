# What the generator of OpenAPI cannot know of the REST interface: that fields
# keep the names of the contract, who may ask, what streams are, and that a
# capture may be the body of a request itself.
def snake: gsub("(?<u>[A-Z])"; "_" + (.u | ascii_downcase));
def upload($schema):
  .content["application/octet-stream"] = {schema: $schema}
  | .content["application/vnd.tcpdump.pcap"] = {schema: $schema};
def query($properties):
  [$properties | to_entries[] | select(.key != "path")
    | {name: .key, in: "query", description: ("With a capture as the body: " + (.value.description // "")),
       schema: (.value | del(.description))}];
def binary: {schema: {type: "string", contentMediaType: "application/octet-stream"}};

walk(if type == "object" and (.properties | type) == "object" then .properties |= with_entries(.key |= snake) else . end)
| walk(if type == "object" and .in == "query" then .name |= snake else . end)
| .info = {title: "Ampulla", version: "v1", description: "Says which packets of a capture deserve attention, and why.",
           license: {name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0"}}
| .components.securitySchemes = {token: {type: "http", scheme: "bearer"}}
| .security = [{token: []}]
| .paths["/v1/analyze"].post.requestBody.content["application/json"].schema.properties as $options
| reduce ("/v1/analyze", "/analyze") as $path (.;
    .paths[$path].post |= (.parameters = query($options) | .requestBody |= upload(binary.schema)))
| reduce ("/v1/jobs/{id}/events", "/v1/metrics/stream") as $path (.;
    .paths[$path].get.responses["200"].content = {"text/event-stream": {schema: {type: "string"}}})
| .paths["/v1/jobs/{id}/file"].get.responses["200"].content = {"application/vnd.tcpdump.pcap": binary}
