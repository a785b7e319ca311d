// Sends the authorization response to the client (OAuth 2.0 Form Post Response Mode).
var form = document.getElementById("form-post");
if (form) HTMLFormElement.prototype.submit.call(form);
