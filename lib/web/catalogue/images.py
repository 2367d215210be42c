"""Errors of an image and its options. The image core runs without this catalogue and words its own messages."""

from django.utils.translation import gettext_lazy as _

from lib.web.catalogue.row import Hint, Row

_SCALE_DOWN = _("Scale the picture down to at most 10000 px per side.")
_UNREADABLE = Hint(_("This file is not a picture that we can read. Choose a JPEG, PNG, WebP or BMP picture."))
_TOO_MANY_PIXELS = Hint(_("This picture has more than 10,000 pixels on a side. Choose a smaller one."))

# Worded by the image core.
_FOUND_BY_CORE = {
    "unsupported_file_type": Row(
        status=400,
        advice=_("Convert the picture to one of the formats named, or give the file the right extension."),
        label=_("File type not supported"),
        hint=_UNREADABLE,
    ),
    "invalid_image": Row(
        status=400,
        advice=_("The file is damaged, or it is not in a format that we can read. Open it and save it again."),
        label=_("Not a valid picture"),
        hint=_UNREADABLE,
    ),
    "empty_file": Row(
        status=400,
        advice=_("The uploaded file has no content. Check that your program reads the file from the beginning."),
        label=_("The file was empty"),
        hint=Hint(_("This file is empty. Choose another one.")),
    ),
    "file_too_large": Row(
        status=400,
        advice=_("Make the picture smaller or compress it more before you send it."),
        label=_("The file was too large"),
        hint=Hint(_("This file is larger than 50 MB. Choose a smaller one.")),
    ),
    "image_too_wide": Row(status=400, advice=_SCALE_DOWN, label=_("The picture was too wide"), hint=_TOO_MANY_PIXELS),
    "image_too_tall": Row(status=400, advice=_SCALE_DOWN, label=_("The picture was too tall"), hint=_TOO_MANY_PIXELS),
    "image_too_complex": Row(
        status=400,
        advice=_("Save the picture again as the message says: it is stored in a way that is costly to read."),
        label=_("The picture was too costly to read"),
        hint=Hint(
            _("This picture is stored in a way that takes too long to read. Save it again as JPEG or PNG, then try again.")
        ),
    ),
    "image_too_slow": Row(
        status=400,
        advice=_("Send a smaller picture, or save it again as a baseline JPEG or a PNG. Nothing was charged."),
        label=_("The picture took too long"),
        hint=Hint(_("This picture took too long. Choose a smaller one.")),
    ),
    "invalid_number": Row(status=400, advice=_("Send a finite decimal number."), label=_("An option was not a number")),
    "invalid_choice": Row(
        status=400, advice=_("Choose one of the values named."), label=_("An option had an unknown value")
    ),
    "invalid_length": Row(
        status=400,
        advice=_("Send each number with its unit, and a space between two of them."),
        label=_("A length was not usable"),
    ),
    "invalid_position": Row(
        status=400,
        advice=_("Send center, original, or one or two percentages, across and down."),
        label=_("A position was not usable"),
    ),
    "roi_empty": Row(
        status=400,
        advice=_("Send left, top, right and bottom, where right is more than left and bottom more than top."),
        label=_("The region of interest was empty"),
    ),
    "roi_out_of_bounds": Row(
        status=400,
        advice=_("Send a region inside the picture. Percentages fit a picture of any size."),
        label=_("The region of interest was not inside the picture"),
    ),
    "missing_size": Row(status=400, advice=_("Send both sides of the canvas."), label=_("A canvas without a size")),
    "two_backgrounds": Row(
        status=400,
        advice=_("Leave out all backgrounds but one."),
        label=_("Several backgrounds together"),
    ),
    "invalid_outputs": Row(
        status=400,
        advice=_('Send a JSON list of objects, such as [{"format": "png"}, {"mask": true}].'),
        label=_("The list of outputs could not be read"),
    ),
    "invalid_output_name": Row(
        status=400,
        advice=_("Give each output a different name, in small letters, or none."),
        label=_("The name of an output was not usable"),
    ),
    "invalid_output_option": Row(
        status=400,
        advice=_("Use the options of the list in the documentation; those of the matte are the same for all outputs."),
        label=_("An output had an option that outputs do not have"),
    ),
    "invalid_format": Row(status=400, advice=_("Choose one of the formats named."), label=_("Unknown output format")),
    "invalid_color": Row(
        status=400,
        advice=_("Write the colour in one of the forms named, or use a CSS colour name."),
        label=_("Unknown background colour"),
    ),
    "invalid_boolean": Row(
        status=400,
        advice=_("Send true, false, 1, 0, yes, no, on or off."),
        label=_("An option was neither true nor false"),
    ),
    "unknown_model": Row(
        status=400,
        message="'{field}' must be one of {models}, got: '{value}'",
        advice=_("Send one of the models that GET /api/models lists."),
        label=_("Unknown model"),
    ),
    "model_version_gone": Row(
        status=400,
        message="'{field}' names a version that is not served any more: '{value}'. Served is {model}",
        advice=_("Pin the version that GET /api/models lists, or send the name alone."),
        label=_("A model's version that is gone"),
    ),
    "mask_with_bg_color": Row(
        status=400,
        advice=_("A mask has no background and no shadow: leave one of the two fields out."),
        label=_("Mask and background together"),
    ),
}

_OF_AN_UPLOAD = {
    "missing_image": Row(
        status=400,
        message="No image file provided. Please include an 'image' field in your form data.",
        advice=_("Send the picture as a file part named “image”, or its address as “image_url”."),
        label=_("No picture was sent"),
        hint=_UNREADABLE,
    ),
    "no_file_selected": Row(
        status=400,
        message="No file selected. Please choose an image file to upload.",
        advice=_("The field is there, but no file was chosen. Choose one before you send the form."),
        label=_("No picture was sent"),
        hint=_UNREADABLE,
    ),
    "two_pictures": Row(
        status=400,
        message="Send the picture either as 'image' or by 'image_url', not both.",
        advice=_("Leave out one of the two fields."),
        label=_("A picture and an address together"),
    ),
}

_OF_AN_ADDRESS = {
    "image_url_invalid": Row(
        status=400,
        message="'image_url' is not an address that can be fetched: {reason}.",
        advice=_("Send a full http or https address, encoded as in a browser’s address bar."),
        label=_("The picture's address was not valid"),
    ),
    "image_url_forbidden": Row(
        status=400,
        message="'image_url' may not be fetched: {reason}.",
        advice=_("Use a public address, or upload the picture itself."),
        label=_("The picture's address may not be fetched"),
    ),
    "image_url_redirects": Row(
        status=400,
        message="'image_url' redirects more than {redirects} times.",
        advice=_("Send the final address, the one after all redirects."),
        label=_("The picture's address redirects too often"),
    ),
    # Does not say which server or why: that would let callers map a network.
    "image_url_unreachable": Row(
        status=400,
        message="The server of 'image_url' could not be reached, or its answer broke off.",
        advice=_("Open the address from outside your network. If it works there, try again in a moment."),
        label=_("The picture's address could not be reached"),
    ),
    "image_url_timeout": Row(
        status=400,
        message="The picture of 'image_url' did not arrive within {seconds} seconds.",
        advice=_("The server is slow or far away. Try again, or upload the picture itself."),
        label=_("The picture's address was too slow"),
    ),
    "image_url_failed": Row(
        status=400,
        message="The server of 'image_url' answered with status {status} instead of a picture.",
        advice=_("Check that the address opens without logging in and that a signed one has not expired."),
        label=_("The picture's address answered with an error"),
    ),
    "image_url_encoding": Row(
        status=400,
        message="The server of 'image_url' sent the picture with the encoding '{encoding}', which is not accepted.",
        advice=_("Have the server send the picture without compression, or upload the picture itself."),
        label=_("The picture came in an encoding that is not accepted"),
    ),
    "image_url_too_large": Row(
        status=400,
        message="The picture of 'image_url' exceeds the maximum allowed size of {megabytes} MB.",
        advice=_("Put a smaller or more compressed picture at this address."),
        label=_("The picture at the address was too large"),
    ),
    "image_url_disabled": Row(
        status=400,
        message="'image_url' is switched off here. Send the picture itself as 'image'.",
        advice=_("This deployment does not fetch pictures. Upload the picture itself."),
        label=_("Pictures are not fetched here"),
    ),
}

ROWS = {**_FOUND_BY_CORE, **_OF_AN_UPLOAD, **_OF_AN_ADDRESS}
