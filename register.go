// Package playhead is what xk6 builds into k6: it registers the extension k6/x/playhead.
package playhead

import _ "github.com/playhead-load/playhead/k6" // registers k6/x/playhead
