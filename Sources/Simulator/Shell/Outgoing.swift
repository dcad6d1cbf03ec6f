/// What goes back over one connection.
struct Outgoing: Sendable, Equatable {
  var delivery: Delivery
  /// Milliseconds to wait first.
  var after: Int64 = 0

  enum Delivery: Sendable, Equatable {
    case whole(Page)
    /// Headers and half a body of the promised length, then the connection ends.
    case cut(Page)
    case reset
    case silence
  }

  struct Page: Sendable, Equatable {
    var status: Int
    var contentType: String?
    var body: String
    var retryAfter: String?
  }

  static func json(_ status: Int, _ body: JSON) -> Outgoing {
    Outgoing(delivery: .whole(Page(status: status, contentType: "application/json", body: body.encoded)))
  }

  /// What the log of requests says of it.
  var summary: String {
    switch delivery {
    case .whole(let page): String(page.status)
    case .cut(let page): "\(page.status) cut"
    case .reset: "reset"
    case .silence: "silence"
    }
  }
}

extension Wire {
  func outgoing<Value>(_ answer: Answer<Value>, _ encode: (Value) -> JSON?) -> Outgoing {
    Outgoing(delivery: delivery(answer.seen, encode), after: answer.after)
  }

  private func delivery<Value>(_ seen: Answer<Value>.Seen, _ encode: (Value) -> JSON?) -> Outgoing.Delivery {
    switch seen {
    case .value(let value, let status): .whole(page(status, encode(value)))
    case .cut(let value, let status): .cut(page(status, encode(value)))
    case .refused(let refusal): .whole(page(refusal))
    case .unreadable: .whole(page(200, ["success": false]))
    case .reset: .reset
    case .silence: .silence
    }
  }

  private func page(_ status: Int, _ body: JSON?) -> Outgoing.Page {
    Outgoing.Page(status: status, contentType: body.map { _ in "application/json" }, body: body?.encoded ?? "")
  }

  func page(_ refusal: Refusal) -> Outgoing.Page {
    Outgoing.Page(
      status: refusal.status, contentType: refusal.html ? "text/html" : "application/json",
      body: refusal.html ? Wire.page(refusal.status) : error(refusal).encoded, retryAfter: refusal.retryAfter)
  }
}

extension SimCreateRequest {
  /// Reads the body of a POST as the document has it. Throws the refusal that names the wrong field.
  init(body: [UInt8]) throws(Refusal) {
    guard let json = try? JSON(parsing: body), case .object = json else {
      throw Refusal(status: 400, type: "validation_error", message: "The body is not a JSON object.")
    }
    self.init(
      name: try SimCreateRequest.text("name", of: json, required: true) ?? "",
      offeringID: try SimCreateRequest.text("offering_id", of: json, required: true) ?? "",
      sshKeyID: try SimCreateRequest.text("ssh_key_id", of: json, required: false),
      volumeIDs: try SimCreateRequest.volumeIDs(of: json), envs: try SimCreateRequest.envs(of: json))
  }

  private static func text(_ field: String, of json: JSON, required: Bool) throws(Refusal) -> String? {
    switch json[field] {
    case .string(let text): return text
    case nil, .null:
      if required { throw .invalid(field, "'\(field)' is required.") }
      return nil
    default: throw .invalid(field, "'\(field)' must be a string.")  // whatever else JSON has
    }
  }

  private static func list(_ field: String, of json: JSON) throws(Refusal) -> [JSON] {
    switch json[field] {
    case .array(let elements): return elements
    case nil, .null: return []
    default: throw .invalid(field, "'\(field)' must be an array.")  // whatever else JSON has
    }
  }

  private static func volumeIDs(of json: JSON) throws(Refusal) -> [String] {
    var ids: [String] = []
    for element in try list("volume_ids", of: json) {
      guard let id = element.text else { throw .invalid("volume_ids", "'volume_ids' must hold strings.") }
      ids.append(id)
    }
    return ids
  }

  private static func envs(of json: JSON) throws(Refusal) -> [SimEnvironmentVariable] {
    var envs: [SimEnvironmentVariable] = []
    for element in try list("envs", of: json) {
      guard let name = element["name"]?.text, let value = element["value"]?.text else {
        throw .invalid("envs", "Each of 'envs' must have a name and a value, both strings.")
      }
      envs.append(SimEnvironmentVariable(name: name, value: value))
    }
    return envs
  }
}
