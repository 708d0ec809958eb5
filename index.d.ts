/// <reference path="./k6/index.d.ts" />
