import 'k6/x/playhead';

export default function () {}
