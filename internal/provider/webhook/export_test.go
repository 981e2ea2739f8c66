package webhook

// ReadHeaders is for its fuzz test.
var ReadHeaders = readHeaders
