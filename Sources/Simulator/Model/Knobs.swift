// The names on the wire are written out in `Key`: they are what people type.

/// Everything that can be turned on the simulated cloud, on the command line and at run time.
///
/// Every default is the friendly cloud: quick boots and no faults. Times are seconds outside, whole milliseconds inside.
package struct Knobs: Sendable, Equatable, Codable {
  // MARK: Booting

  /// How long an instance is `creating`.
  package var bootSeconds: Span = Span(0.4, 0.8)
  /// How long an `active` instance has no `ip`.
  package var ipLateSeconds: Span = .seconds(0)
  /// How long after `active` connections are refused.
  package var sshdLateSeconds: Span = .seconds(0)
  /// How long sshd refuses the registered keys after it came up.
  package var keyLateSeconds: Span = .seconds(0)
  /// The boot ends in `error` instead of `active`.
  package var bootError: Fault = .never
  /// The instance stays `creating` for ever.
  package var bootStuck: Fault = .never
  /// While it boots, the instance says `unknown_status_word` instead of `creating`.
  package var unknownStatus: Fault = .never
  /// A status that the API's document does not have.
  package var unknownStatusWord: String = "provisioning"

  // MARK: What happens to an active instance

  /// An `active` instance goes to `error`; its machine dies, and it is billed until it is deleted.
  package var activeError: Fault = .never
  /// How long after `active` that happens.
  package var activeErrorSeconds: Span = .seconds(5)
  /// The instance is taken away.
  package var preempt: Fault = .never
  /// How long after `active` that happens.
  package var preemptSeconds: Span = .seconds(5)
  /// What the API then says: `deleted`, `error`, `active` (it does not know yet), or `gone` (404).
  package var preemptStatus: String = "deleted"
  /// The instance reboots by itself: `restarting`, then `active` again, processes gone, disk kept.
  package var restart: Fault = .never
  /// How long after `active` that happens.
  package var restartSeconds: Span = .seconds(5)
  /// How long it is `restarting`.
  package var restartTakesSeconds: Span = .seconds(1)
  /// An `active` instance says `creating` for a while, although nothing happened to it.
  package var flap: Fault = .never
  /// How long after `active` it begins, and how long it lasts.
  package var flapSeconds: Span = .seconds(2)
  /// The instance gets another address; open connections are cut, processes live on.
  package var moveAddress: Fault = .never
  /// How long after `active` that happens.
  package var moveAddressSeconds: Span = .seconds(5)
  /// The machine answers with another host key from then on.
  package var changeHostKey: Fault = .never
  /// How long after `active` that happens.
  package var changeHostKeySeconds: Span = .seconds(5)
  /// A new instance gets the address that was freed last.
  package var reuseAddress: Bool = false

  // MARK: Creating

  /// POST is refused: nothing is free.
  package var outOfCapacity: Fault = .never
  /// Only these offerings are out of capacity; empty: all.
  package var outOfCapacityOfferings: [String] = []
  /// The HTTP status of that refusal.
  package var outOfCapacityStatus: Int = 400
  /// The error type of that refusal.
  package var outOfCapacityType: String = "provider_error"
  /// POST is refused: `insufficient_balance`.
  package var insufficientBalance: Fault = .never
  /// The HTTP status of that refusal.
  package var insufficientBalanceStatus: Int = 400
  /// USD in the account, a decimal string; when it is spent every instance is taken away and POST is refused. nil:
  /// without end.
  package var balance: String?
  /// What a successful POST answers: `full` (201, the instance) or `id` (200, `id` and `object`).
  package var createAnswer: String = "full"
  /// POST is executed and answered 200 `{}`.
  package var createWithoutID: Fault = .never
  /// POST is executed at once and answered late.
  package var createLate: Fault = .never
  /// How late.
  package var createLateSeconds: Span = .seconds(45)
  /// POST is executed, and the connection is reset instead of an answer.
  package var createReset: Fault = .never
  /// POST is executed, and the answer is cut in the middle of its body.
  package var createCut: Fault = .never
  /// POST is executed, and answered `create_fails_status`.
  package var createFails: Fault = .never
  /// The status of an executed or unexecuted POST that is answered with a failure.
  package var createFailsStatus: Int = 500
  /// The error type of that answer.
  package var createFailsType: String = "server_error"
  /// POST is not executed, and the connection is reset.
  package var createLost: Fault = .never
  /// POST is not executed, and answered `create_fails_status`.
  package var createRefused: Fault = .never
  /// POST is not executed, and never answered.
  package var createSilent: Fault = .never
  /// POST is executed late; `create_queued_answer` comes at once.
  package var createQueued: Fault = .never
  /// How late it is executed.
  package var createQueuedSeconds: Span = .seconds(30)
  /// What the asker of a queued POST sees: `reset`, `failure` or `silence`.
  package var createQueuedAnswer: String = "reset"
  /// One POST makes two instances.
  package var createTwice: Fault = .never
  /// POST is refused when a live instance has the name.
  package var uniqueNames: Bool = false
  /// At POST the offering's price is multiplied by `price_change_factor`, for good.
  package var priceChange: Fault = .never
  /// A decimal string.
  package var priceChangeFactor: String = "2"

  // MARK: Reading

  /// How old the answer of a GET without `refresh=true` and of the list is.
  package var cacheLagSeconds: Span = .seconds(0)
  /// A GET with `refresh=true` shows what was before the last change.
  package var refreshStale: Fault = .never
  /// How long GET answers 404 for a new instance.
  package var newNotFoundSeconds: Span = .seconds(0)
  /// How long a new instance is missing in the list.
  package var listLagSeconds: Span = .seconds(0)
  /// A live instance is missing in one answer of the list; asked for each instance.
  package var listDrops: Fault = .never
  /// The list is empty.
  package var listEmpty: Fault = .never
  /// The list is answered 200 with a body that is not what it should be.
  package var listUnreadable: Fault = .never
  /// A read's connection is reset.
  package var readsReset: Fault = .never
  /// A read's answer is cut in the middle of its body.
  package var readsCut: Fault = .never
  /// One GET of a live instance answers 404, those of the next two minutes are right again: replicas do not agree.
  package var readsFlicker: Fault = .never
  /// A read is answered `fails_status`.
  package var readsFail: Fault = .never
  /// A read is answered 429.
  package var readsLimited: Fault = .never
  /// A POST is answered 429 and not executed.
  package var createsLimited: Fault = .never
  /// A DELETE is answered 429 and not executed.
  package var deletesLimited: Fault = .never
  /// The `Retry-After` of a 429, verbatim: seconds, a date, nonsense; nil: none.
  package var retryAfter: String? = "1"
  /// The status of failing reads and deletes and of an outage.
  package var failsStatus: Int = 503
  /// Everything but the control path fails between these two moments since the start.
  package var outageSeconds: Span?
  /// How long every answer takes.
  package var latencySeconds: Span = .seconds(0)

  // MARK: Deleting

  /// The status of an accepted DELETE: 200, 202 or 204.
  package var deleteStatus: Int = 202
  /// How long the instance is `deleting`.
  package var deleteSeconds: Span = .seconds(0.1)
  /// The instance stays `deleting` for ever; its machine is dead and is billed.
  package var deleteStuck: Fault = .never
  /// DELETE is refused with 400 while the instance is `creating`.
  package var deleteRefusedWhileCreating: Bool = false
  /// DELETE is answered 500 `provider_error`, not executed.
  package var deleteRefused: Fault = .never
  /// DELETE is accepted and nothing happens.
  package var deleteForgotten: Fault = .never
  /// DELETE is executed, and the connection is reset.
  package var deleteReset: Fault = .never
  /// DELETE is executed, and answered `fails_status`.
  package var deleteFails: Fault = .never
  /// DELETE is not executed, and the connection is reset.
  package var deletesLost: Fault = .never
  /// How long a deleted instance can be read as `deleted` before it is 404; nil: for ever.
  package var deletedVisibleSeconds: Span?
  /// Deleted instances that can still be read are in the list too.
  package var deletedInList: Bool = false
  /// A deleted instance comes back `active`, and is billed again.
  package var deletedReturns: Fault = .never
  /// How long after its deletion.
  package var deletedReturnsSeconds: Span = .seconds(5)

  // MARK: Answers

  /// The API key is refused: 401 `authentication_error`.
  package var keyRevoked: Bool = false
  /// Reading and deleting single instances and volumes is refused: 403 `forbidden`.
  package var forbidden: Bool = false
  /// Errors are pages of HTML, as a gateway in front sends them.
  package var htmlErrors: Bool = false
  /// `ssh_user` is left out.
  package var sshUserAbsent: Bool = false
  /// `envs` is left out.
  package var envsAbsent: Bool = false
  /// What is left out is `null` instead.
  package var nullsForAbsent: Bool = false
  /// Answers have members that the API's document does not have.
  package var unknownFields: Bool = false

  /// The friendly cloud.
  package init() {}

  /// The knobs as people write them.
  package enum Key: String, CodingKey, CaseIterable, Sendable {
    case bootSeconds = "boot_seconds"
    case ipLateSeconds = "ip_late_seconds"
    case sshdLateSeconds = "sshd_late_seconds"
    case keyLateSeconds = "key_late_seconds"
    case bootError = "boot_error"
    case bootStuck = "boot_stuck"
    case unknownStatus = "unknown_status"
    case unknownStatusWord = "unknown_status_word"
    case activeError = "active_error"
    case activeErrorSeconds = "active_error_seconds"
    case preempt
    case preemptSeconds = "preempt_seconds"
    case preemptStatus = "preempt_status"
    case restart
    case restartSeconds = "restart_seconds"
    case restartTakesSeconds = "restart_takes_seconds"
    case flap
    case flapSeconds = "flap_seconds"
    case moveAddress = "move_address"
    case moveAddressSeconds = "move_address_seconds"
    case changeHostKey = "change_host_key"
    case changeHostKeySeconds = "change_host_key_seconds"
    case reuseAddress = "reuse_address"
    case outOfCapacity = "out_of_capacity"
    case outOfCapacityOfferings = "out_of_capacity_offerings"
    case outOfCapacityStatus = "out_of_capacity_status"
    case outOfCapacityType = "out_of_capacity_type"
    case insufficientBalance = "insufficient_balance"
    case insufficientBalanceStatus = "insufficient_balance_status"
    case balance
    case createAnswer = "create_answer"
    case createWithoutID = "create_without_id"
    case createLate = "create_late"
    case createLateSeconds = "create_late_seconds"
    case createReset = "create_reset"
    case createCut = "create_cut"
    case createFails = "create_fails"
    case createFailsStatus = "create_fails_status"
    case createFailsType = "create_fails_type"
    case createLost = "create_lost"
    case createRefused = "create_refused"
    case createSilent = "create_silent"
    case createQueued = "create_queued"
    case createQueuedSeconds = "create_queued_seconds"
    case createQueuedAnswer = "create_queued_answer"
    case createTwice = "create_twice"
    case uniqueNames = "unique_names"
    case priceChange = "price_change"
    case priceChangeFactor = "price_change_factor"
    case cacheLagSeconds = "cache_lag_seconds"
    case refreshStale = "refresh_stale"
    case newNotFoundSeconds = "new_not_found_seconds"
    case listLagSeconds = "list_lag_seconds"
    case listDrops = "list_drops"
    case listEmpty = "list_empty"
    case listUnreadable = "list_unreadable"
    case readsReset = "reads_reset"
    case readsCut = "reads_cut"
    case readsFlicker = "reads_flicker"
    case readsFail = "reads_fail"
    case readsLimited = "reads_limited"
    case createsLimited = "creates_limited"
    case deletesLimited = "deletes_limited"
    case retryAfter = "retry_after"
    case failsStatus = "fails_status"
    case outageSeconds = "outage_seconds"
    case latencySeconds = "latency_seconds"
    case deleteStatus = "delete_status"
    case deleteSeconds = "delete_seconds"
    case deleteStuck = "delete_stuck"
    case deleteRefusedWhileCreating = "delete_refused_while_creating"
    case deleteRefused = "delete_refused"
    case deleteForgotten = "delete_forgotten"
    case deleteReset = "delete_reset"
    case deleteFails = "delete_fails"
    case deletesLost = "deletes_lost"
    case deletedVisibleSeconds = "deleted_visible_seconds"
    case deletedInList = "deleted_in_list"
    case deletedReturns = "deleted_returns"
    case deletedReturnsSeconds = "deleted_returns_seconds"
    case keyRevoked = "key_revoked"
    case forbidden
    case htmlErrors = "html_errors"
    case sshUserAbsent = "ssh_user_absent"
    case envsAbsent = "envs_absent"
    case nullsForAbsent = "nulls_for_absent"
    case unknownFields = "unknown_fields"
  }
  private typealias CodingKeys = Key

  /// Reads an object; what it does not name keeps its default. Throws `DecodingError`.
  package init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    bootSeconds = try box.decodeIfPresent(Span.self, forKey: .bootSeconds) ?? bootSeconds
    ipLateSeconds = try box.decodeIfPresent(Span.self, forKey: .ipLateSeconds) ?? ipLateSeconds
    sshdLateSeconds = try box.decodeIfPresent(Span.self, forKey: .sshdLateSeconds) ?? sshdLateSeconds
    keyLateSeconds = try box.decodeIfPresent(Span.self, forKey: .keyLateSeconds) ?? keyLateSeconds
    bootError = try box.decodeIfPresent(Fault.self, forKey: .bootError) ?? bootError
    bootStuck = try box.decodeIfPresent(Fault.self, forKey: .bootStuck) ?? bootStuck
    unknownStatus = try box.decodeIfPresent(Fault.self, forKey: .unknownStatus) ?? unknownStatus
    unknownStatusWord = try box.decodeIfPresent(String.self, forKey: .unknownStatusWord) ?? unknownStatusWord
    activeError = try box.decodeIfPresent(Fault.self, forKey: .activeError) ?? activeError
    activeErrorSeconds = try box.decodeIfPresent(Span.self, forKey: .activeErrorSeconds) ?? activeErrorSeconds
    preempt = try box.decodeIfPresent(Fault.self, forKey: .preempt) ?? preempt
    preemptSeconds = try box.decodeIfPresent(Span.self, forKey: .preemptSeconds) ?? preemptSeconds
    preemptStatus = try box.decodeIfPresent(String.self, forKey: .preemptStatus) ?? preemptStatus
    restart = try box.decodeIfPresent(Fault.self, forKey: .restart) ?? restart
    restartSeconds = try box.decodeIfPresent(Span.self, forKey: .restartSeconds) ?? restartSeconds
    restartTakesSeconds = try box.decodeIfPresent(Span.self, forKey: .restartTakesSeconds) ?? restartTakesSeconds
    flap = try box.decodeIfPresent(Fault.self, forKey: .flap) ?? flap
    flapSeconds = try box.decodeIfPresent(Span.self, forKey: .flapSeconds) ?? flapSeconds
    moveAddress = try box.decodeIfPresent(Fault.self, forKey: .moveAddress) ?? moveAddress
    moveAddressSeconds = try box.decodeIfPresent(Span.self, forKey: .moveAddressSeconds) ?? moveAddressSeconds
    changeHostKey = try box.decodeIfPresent(Fault.self, forKey: .changeHostKey) ?? changeHostKey
    changeHostKeySeconds = try box.decodeIfPresent(Span.self, forKey: .changeHostKeySeconds) ?? changeHostKeySeconds
    reuseAddress = try box.decodeIfPresent(Bool.self, forKey: .reuseAddress) ?? reuseAddress
    outOfCapacity = try box.decodeIfPresent(Fault.self, forKey: .outOfCapacity) ?? outOfCapacity
    outOfCapacityOfferings =
      try box.decodeIfPresent([String].self, forKey: .outOfCapacityOfferings) ?? outOfCapacityOfferings
    outOfCapacityStatus = try box.decodeIfPresent(Int.self, forKey: .outOfCapacityStatus) ?? outOfCapacityStatus
    outOfCapacityType = try box.decodeIfPresent(String.self, forKey: .outOfCapacityType) ?? outOfCapacityType
    insufficientBalance = try box.decodeIfPresent(Fault.self, forKey: .insufficientBalance) ?? insufficientBalance
    insufficientBalanceStatus =
      try box.decodeIfPresent(Int.self, forKey: .insufficientBalanceStatus) ?? insufficientBalanceStatus
    if box.contains(.balance) { balance = try box.decodeIfPresent(String.self, forKey: .balance) }
    createAnswer = try box.decodeIfPresent(String.self, forKey: .createAnswer) ?? createAnswer
    createWithoutID = try box.decodeIfPresent(Fault.self, forKey: .createWithoutID) ?? createWithoutID
    createLate = try box.decodeIfPresent(Fault.self, forKey: .createLate) ?? createLate
    createLateSeconds = try box.decodeIfPresent(Span.self, forKey: .createLateSeconds) ?? createLateSeconds
    createReset = try box.decodeIfPresent(Fault.self, forKey: .createReset) ?? createReset
    createCut = try box.decodeIfPresent(Fault.self, forKey: .createCut) ?? createCut
    createFails = try box.decodeIfPresent(Fault.self, forKey: .createFails) ?? createFails
    createFailsStatus = try box.decodeIfPresent(Int.self, forKey: .createFailsStatus) ?? createFailsStatus
    createFailsType = try box.decodeIfPresent(String.self, forKey: .createFailsType) ?? createFailsType
    createLost = try box.decodeIfPresent(Fault.self, forKey: .createLost) ?? createLost
    createRefused = try box.decodeIfPresent(Fault.self, forKey: .createRefused) ?? createRefused
    createSilent = try box.decodeIfPresent(Fault.self, forKey: .createSilent) ?? createSilent
    createQueued = try box.decodeIfPresent(Fault.self, forKey: .createQueued) ?? createQueued
    createQueuedSeconds = try box.decodeIfPresent(Span.self, forKey: .createQueuedSeconds) ?? createQueuedSeconds
    createQueuedAnswer = try box.decodeIfPresent(String.self, forKey: .createQueuedAnswer) ?? createQueuedAnswer
    createTwice = try box.decodeIfPresent(Fault.self, forKey: .createTwice) ?? createTwice
    uniqueNames = try box.decodeIfPresent(Bool.self, forKey: .uniqueNames) ?? uniqueNames
    priceChange = try box.decodeIfPresent(Fault.self, forKey: .priceChange) ?? priceChange
    priceChangeFactor = try box.decodeIfPresent(String.self, forKey: .priceChangeFactor) ?? priceChangeFactor
    cacheLagSeconds = try box.decodeIfPresent(Span.self, forKey: .cacheLagSeconds) ?? cacheLagSeconds
    refreshStale = try box.decodeIfPresent(Fault.self, forKey: .refreshStale) ?? refreshStale
    newNotFoundSeconds = try box.decodeIfPresent(Span.self, forKey: .newNotFoundSeconds) ?? newNotFoundSeconds
    listLagSeconds = try box.decodeIfPresent(Span.self, forKey: .listLagSeconds) ?? listLagSeconds
    listDrops = try box.decodeIfPresent(Fault.self, forKey: .listDrops) ?? listDrops
    listEmpty = try box.decodeIfPresent(Fault.self, forKey: .listEmpty) ?? listEmpty
    listUnreadable = try box.decodeIfPresent(Fault.self, forKey: .listUnreadable) ?? listUnreadable
    readsReset = try box.decodeIfPresent(Fault.self, forKey: .readsReset) ?? readsReset
    readsCut = try box.decodeIfPresent(Fault.self, forKey: .readsCut) ?? readsCut
    readsFlicker = try box.decodeIfPresent(Fault.self, forKey: .readsFlicker) ?? readsFlicker
    readsFail = try box.decodeIfPresent(Fault.self, forKey: .readsFail) ?? readsFail
    readsLimited = try box.decodeIfPresent(Fault.self, forKey: .readsLimited) ?? readsLimited
    createsLimited = try box.decodeIfPresent(Fault.self, forKey: .createsLimited) ?? createsLimited
    deletesLimited = try box.decodeIfPresent(Fault.self, forKey: .deletesLimited) ?? deletesLimited
    if box.contains(.retryAfter) { retryAfter = try box.decodeIfPresent(String.self, forKey: .retryAfter) }
    failsStatus = try box.decodeIfPresent(Int.self, forKey: .failsStatus) ?? failsStatus
    if box.contains(.outageSeconds) { outageSeconds = try box.decodeIfPresent(Span.self, forKey: .outageSeconds) }
    latencySeconds = try box.decodeIfPresent(Span.self, forKey: .latencySeconds) ?? latencySeconds
    deleteStatus = try box.decodeIfPresent(Int.self, forKey: .deleteStatus) ?? deleteStatus
    deleteSeconds = try box.decodeIfPresent(Span.self, forKey: .deleteSeconds) ?? deleteSeconds
    deleteStuck = try box.decodeIfPresent(Fault.self, forKey: .deleteStuck) ?? deleteStuck
    deleteRefusedWhileCreating =
      try box.decodeIfPresent(Bool.self, forKey: .deleteRefusedWhileCreating) ?? deleteRefusedWhileCreating
    deleteRefused = try box.decodeIfPresent(Fault.self, forKey: .deleteRefused) ?? deleteRefused
    deleteForgotten = try box.decodeIfPresent(Fault.self, forKey: .deleteForgotten) ?? deleteForgotten
    deleteReset = try box.decodeIfPresent(Fault.self, forKey: .deleteReset) ?? deleteReset
    deleteFails = try box.decodeIfPresent(Fault.self, forKey: .deleteFails) ?? deleteFails
    deletesLost = try box.decodeIfPresent(Fault.self, forKey: .deletesLost) ?? deletesLost
    if box.contains(.deletedVisibleSeconds) {
      deletedVisibleSeconds = try box.decodeIfPresent(Span.self, forKey: .deletedVisibleSeconds)
    }
    deletedInList = try box.decodeIfPresent(Bool.self, forKey: .deletedInList) ?? deletedInList
    deletedReturns = try box.decodeIfPresent(Fault.self, forKey: .deletedReturns) ?? deletedReturns
    deletedReturnsSeconds = try box.decodeIfPresent(Span.self, forKey: .deletedReturnsSeconds) ?? deletedReturnsSeconds
    keyRevoked = try box.decodeIfPresent(Bool.self, forKey: .keyRevoked) ?? keyRevoked
    forbidden = try box.decodeIfPresent(Bool.self, forKey: .forbidden) ?? forbidden
    htmlErrors = try box.decodeIfPresent(Bool.self, forKey: .htmlErrors) ?? htmlErrors
    sshUserAbsent = try box.decodeIfPresent(Bool.self, forKey: .sshUserAbsent) ?? sshUserAbsent
    envsAbsent = try box.decodeIfPresent(Bool.self, forKey: .envsAbsent) ?? envsAbsent
    nullsForAbsent = try box.decodeIfPresent(Bool.self, forKey: .nullsForAbsent) ?? nullsForAbsent
    unknownFields = try box.decodeIfPresent(Bool.self, forKey: .unknownFields) ?? unknownFields
  }

  /// Writes every knob, absent ones as `null`.
  package func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(bootSeconds, forKey: .bootSeconds)
    try box.encode(ipLateSeconds, forKey: .ipLateSeconds)
    try box.encode(sshdLateSeconds, forKey: .sshdLateSeconds)
    try box.encode(keyLateSeconds, forKey: .keyLateSeconds)
    try box.encode(bootError, forKey: .bootError)
    try box.encode(bootStuck, forKey: .bootStuck)
    try box.encode(unknownStatus, forKey: .unknownStatus)
    try box.encode(unknownStatusWord, forKey: .unknownStatusWord)
    try box.encode(activeError, forKey: .activeError)
    try box.encode(activeErrorSeconds, forKey: .activeErrorSeconds)
    try box.encode(preempt, forKey: .preempt)
    try box.encode(preemptSeconds, forKey: .preemptSeconds)
    try box.encode(preemptStatus, forKey: .preemptStatus)
    try box.encode(restart, forKey: .restart)
    try box.encode(restartSeconds, forKey: .restartSeconds)
    try box.encode(restartTakesSeconds, forKey: .restartTakesSeconds)
    try box.encode(flap, forKey: .flap)
    try box.encode(flapSeconds, forKey: .flapSeconds)
    try box.encode(moveAddress, forKey: .moveAddress)
    try box.encode(moveAddressSeconds, forKey: .moveAddressSeconds)
    try box.encode(changeHostKey, forKey: .changeHostKey)
    try box.encode(changeHostKeySeconds, forKey: .changeHostKeySeconds)
    try box.encode(reuseAddress, forKey: .reuseAddress)
    try box.encode(outOfCapacity, forKey: .outOfCapacity)
    try box.encode(outOfCapacityOfferings, forKey: .outOfCapacityOfferings)
    try box.encode(outOfCapacityStatus, forKey: .outOfCapacityStatus)
    try box.encode(outOfCapacityType, forKey: .outOfCapacityType)
    try box.encode(insufficientBalance, forKey: .insufficientBalance)
    try box.encode(insufficientBalanceStatus, forKey: .insufficientBalanceStatus)
    try box.encode(balance, forKey: .balance)
    try box.encode(createAnswer, forKey: .createAnswer)
    try box.encode(createWithoutID, forKey: .createWithoutID)
    try box.encode(createLate, forKey: .createLate)
    try box.encode(createLateSeconds, forKey: .createLateSeconds)
    try box.encode(createReset, forKey: .createReset)
    try box.encode(createCut, forKey: .createCut)
    try box.encode(createFails, forKey: .createFails)
    try box.encode(createFailsStatus, forKey: .createFailsStatus)
    try box.encode(createFailsType, forKey: .createFailsType)
    try box.encode(createLost, forKey: .createLost)
    try box.encode(createRefused, forKey: .createRefused)
    try box.encode(createSilent, forKey: .createSilent)
    try box.encode(createQueued, forKey: .createQueued)
    try box.encode(createQueuedSeconds, forKey: .createQueuedSeconds)
    try box.encode(createQueuedAnswer, forKey: .createQueuedAnswer)
    try box.encode(createTwice, forKey: .createTwice)
    try box.encode(uniqueNames, forKey: .uniqueNames)
    try box.encode(priceChange, forKey: .priceChange)
    try box.encode(priceChangeFactor, forKey: .priceChangeFactor)
    try box.encode(cacheLagSeconds, forKey: .cacheLagSeconds)
    try box.encode(refreshStale, forKey: .refreshStale)
    try box.encode(newNotFoundSeconds, forKey: .newNotFoundSeconds)
    try box.encode(listLagSeconds, forKey: .listLagSeconds)
    try box.encode(listDrops, forKey: .listDrops)
    try box.encode(listEmpty, forKey: .listEmpty)
    try box.encode(listUnreadable, forKey: .listUnreadable)
    try box.encode(readsReset, forKey: .readsReset)
    try box.encode(readsCut, forKey: .readsCut)
    try box.encode(readsFlicker, forKey: .readsFlicker)
    try box.encode(readsFail, forKey: .readsFail)
    try box.encode(readsLimited, forKey: .readsLimited)
    try box.encode(createsLimited, forKey: .createsLimited)
    try box.encode(deletesLimited, forKey: .deletesLimited)
    try box.encode(retryAfter, forKey: .retryAfter)
    try box.encode(failsStatus, forKey: .failsStatus)
    try box.encode(outageSeconds, forKey: .outageSeconds)
    try box.encode(latencySeconds, forKey: .latencySeconds)
    try box.encode(deleteStatus, forKey: .deleteStatus)
    try box.encode(deleteSeconds, forKey: .deleteSeconds)
    try box.encode(deleteStuck, forKey: .deleteStuck)
    try box.encode(deleteRefusedWhileCreating, forKey: .deleteRefusedWhileCreating)
    try box.encode(deleteRefused, forKey: .deleteRefused)
    try box.encode(deleteForgotten, forKey: .deleteForgotten)
    try box.encode(deleteReset, forKey: .deleteReset)
    try box.encode(deleteFails, forKey: .deleteFails)
    try box.encode(deletesLost, forKey: .deletesLost)
    try box.encode(deletedVisibleSeconds, forKey: .deletedVisibleSeconds)
    try box.encode(deletedInList, forKey: .deletedInList)
    try box.encode(deletedReturns, forKey: .deletedReturns)
    try box.encode(deletedReturnsSeconds, forKey: .deletedReturnsSeconds)
    try box.encode(keyRevoked, forKey: .keyRevoked)
    try box.encode(forbidden, forKey: .forbidden)
    try box.encode(htmlErrors, forKey: .htmlErrors)
    try box.encode(sshUserAbsent, forKey: .sshUserAbsent)
    try box.encode(envsAbsent, forKey: .envsAbsent)
    try box.encode(nullsForAbsent, forKey: .nullsForAbsent)
    try box.encode(unknownFields, forKey: .unknownFields)
  }

  /// Every knob that is a fault, for those who count its occasions.
  static let faults: [(key: Key, path: any KeyPath<Knobs, Fault> & Sendable)] = [
    (.bootError, \.bootError),
    (.bootStuck, \.bootStuck),
    (.unknownStatus, \.unknownStatus),
    (.activeError, \.activeError),
    (.preempt, \.preempt),
    (.restart, \.restart),
    (.flap, \.flap),
    (.moveAddress, \.moveAddress),
    (.changeHostKey, \.changeHostKey),
    (.outOfCapacity, \.outOfCapacity),
    (.insufficientBalance, \.insufficientBalance),
    (.createWithoutID, \.createWithoutID),
    (.createLate, \.createLate),
    (.createReset, \.createReset),
    (.createCut, \.createCut),
    (.createFails, \.createFails),
    (.createLost, \.createLost),
    (.createRefused, \.createRefused),
    (.createSilent, \.createSilent),
    (.createQueued, \.createQueued),
    (.createTwice, \.createTwice),
    (.priceChange, \.priceChange),
    (.refreshStale, \.refreshStale),
    (.listDrops, \.listDrops),
    (.listEmpty, \.listEmpty),
    (.listUnreadable, \.listUnreadable),
    (.readsReset, \.readsReset),
    (.readsCut, \.readsCut),
    (.readsFlicker, \.readsFlicker),
    (.readsFail, \.readsFail),
    (.readsLimited, \.readsLimited),
    (.createsLimited, \.createsLimited),
    (.deletesLimited, \.deletesLimited),
    (.deleteStuck, \.deleteStuck),
    (.deleteRefused, \.deleteRefused),
    (.deleteForgotten, \.deleteForgotten),
    (.deleteReset, \.deleteReset),
    (.deleteFails, \.deleteFails),
    (.deletesLost, \.deletesLost),
    (.deletedReturns, \.deletedReturns),
  ]
}
