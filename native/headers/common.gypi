# node-gyp wants a Node source tree's common.gypi; the addon needs only a release and a debug configuration.
{ 'target_defaults': { 'default_configuration': 'Release', 'configurations': { 'Release': {}, 'Debug': {} } } }
