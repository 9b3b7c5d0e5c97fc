import Glibc

// Hot file: parsed once a record, when a column asks for a part of it.
//
// Invariant: every (start, count) lies inside the text that was parsed.

/// The parts of an Azure resource id: `/subscriptions/{s}/resourceGroups/{g}/providers/{p}/{type}/{name}[/{type}/{name}...]`. Letter case
/// of the keywords varies. An id inside another (a role assignment on a vault) gives the innermost provider.
struct ResourceParts {
    var subscription = (start: 0, count: 0)
    var group = (start: 0, count: 0)
    var provider = (start: 0, count: 0)
    /// From the first type on, names included.
    var typed = (start: 0, count: 0)
    /// The last segment.
    var name = (start: 0, count: 0)

    init() {}

    init(_ text: Text) {
        var i = 0
        var keyword = Keyword.none
        while i < text.n {
            if text.p[i] == 0x2F {
                i &+= 1
                continue
            }
            let start = i
            while i < text.n, text.p[i] != 0x2F { i &+= 1 }
            let segment = text.part(start, i - start)
            name = (start, segment.n)
            switch keyword {
            case .subscription:
                subscription = name
                keyword = .none
            case .group:
                group = name
                keyword = .none
            case .provider:
                provider = name
                typed = (i < text.n ? i + 1 : i, i < text.n ? text.n - i - 1 : 0)
                keyword = .none
            case .none:
                if segment.isFolded("subscriptions") {
                    keyword = .subscription
                } else if segment.isFolded("resourcegroups") {
                    keyword = .group
                } else if segment.isFolded("providers") {
                    keyword = .provider
                }
            }
        }
    }

    enum Part { case subscription, group, provider, typed, name }

    /// A part of the text that was parsed; empty when there is none.
    @inline(__always)
    subscript(part: Part, of text: Text) -> Text {
        let range =
            switch part {
            case .subscription: subscription
            case .group: group
            case .provider: provider
            case .typed: typed
            case .name: name
            }
        return text.part(range.start, range.count)
    }

    private enum Keyword { case none, subscription, group, provider }
}
