package corpus

import "errors"

// ErrNoStore says that a folder or bucket holds no ElasticIntel store.
var ErrNoStore = errors.New("no ElasticIntel data here")

// ErrNewer says that something was written by a newer elasticintel than this one.
var ErrNewer = errors.New("written by a newer elasticintel")

// ErrCorrupt says that an object's content is not what was written.
var ErrCorrupt = errors.New("corrupt")
