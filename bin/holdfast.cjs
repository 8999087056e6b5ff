#!/usr/bin/env node
// The launcher of the package: starts the compiled program, or names the Node that it needs.
//
// In the syntax of the oldest Node on purpose: anything newer would end there in a syntax error, and in no sentence.
'use strict';

var fs = require('fs');
var path = require('path');

var root = path.join(__dirname, '..');
/** As in `engines` of package.json: `>=26.0.0`. */
var needed = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
var program = path.join(root, 'dist', 'main.js');

function isOlder(version, than) {
  var one = version.split('.');
  var other = than.split('.');
  for (var at = 0; at < 3; at++) {
    var difference = Number(one[at]) - Number(other[at]);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function stop(text) {
  process.stderr.write('holdfast: ' + text + '\n');
  process.exit(1);
}

var tooOld =
  'needs Node ' + needed + ' or later, and this is Node ' + process.versions.node + ' (' + process.execPath + ')';
var notBuilt = program + ' is not there: in a checkout run "npm run build" first, or use "npm run holdfast --"';

if (isOlder(process.versions.node, needed)) {
  stop(tooOld + ': install a newer Node, put it first on the PATH and run this command again');
} else if (!fs.existsSync(program)) {
  stop(notBuilt);
} else {
  // Until the program has a handler of its own, or the signal would open an inspector.
  process.on('SIGUSR1', function () {});
  require(program);
}
