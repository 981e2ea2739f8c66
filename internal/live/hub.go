package live

// Hub holds the sessions of this node.
type Hub struct{}
